using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>A job's messages to their end.</summary>
internal sealed class JobWatch(ClusterConnection connection, TimeProvider time, Func<string, Task> remark)
{
    /// <exception cref="RpcException">The scheduler refused, or was away at the start or for two minutes.</exception>
    public async IAsyncEnumerable<WatchJobResponse> MessagesAsync(
        string jobId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new WatchJobRequest { JobId = jobId, Brief = true };
        Job? last = null;
        var messages = new PatientStream(time, remark).MessagesAsync(
            () => connection.Jobs.WatchJob(request, connection.Stream(cancellationToken)),
            IsLast, "the job goes on", cancellationToken);
        await foreach (var message in messages)
        {
            BriefJob.Complete(message.Job, last);
            last = message.Job;
            yield return message;
            // A reconnected watch begins behind what has been seen.
            request.JobId = message.Job.Id;
            request.AfterSequence = Math.Max(request.AfterSequence, message.Event?.Sequence ?? 0);
        }
    }

    /// <summary>What a job has gone through comes event by event, each with the job as it is now, which may long be over.</summary>
    private static bool IsLast(WatchJobResponse message) => message.Job.State.IsFinal() && message.Event?.ToState.IsFinal() != false;
}
