using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>A job's messages to their end, over restarts of the scheduler in between: the job outlives those, so its watcher does too.</summary>
internal sealed class JobWatch(ClusterConnection connection, TimeProvider time, Func<string, Task> remark)
{
    private static readonly TimeSpan BetweenTries = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestAbsence = TimeSpan.FromMinutes(2);

    /// <exception cref="RpcException">The scheduler refused, or was away at the start or for two minutes.</exception>
    public async IAsyncEnumerable<WatchJobResponse> MessagesAsync(string jobId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var request = new WatchJobRequest { JobId = jobId };
        var hasBegun = false;
        DateTimeOffset? lostAt = null;
        while (true)
        {
            using var call = connection.Jobs.WatchJob(request, connection.Stream(cancellationToken));
            while (await NextAsync(call.ResponseStream) is { } message)
            {
                if (lostAt is not null)
                    await remark("the scheduler is back");
                (hasBegun, lostAt) = (true, null);
                yield return message;
                // A reconnected watch begins behind what has been seen.
                request.JobId = message.Job.Id;
                request.AfterSequence = Math.Max(request.AfterSequence, message.Event?.Sequence ?? 0);
                if (message.Job.State.IsFinal())
                    yield break;
            }

            if (lostAt is null)
                await remark("the scheduler went away; the job goes on, waiting for it to come back");
            lostAt ??= time.GetUtcNow();
            await Task.Delay(BetweenTries, time, cancellationToken);
        }

        async Task<WatchJobResponse?> NextAsync(IAsyncStreamReader<WatchJobResponse> stream)
        {
            try
            {
                return await stream.MoveNext(cancellationToken) ? stream.Current : null;
            }
            catch (RpcException fault) when (fault.StatusCode == StatusCode.Unavailable && hasBegun && StillPatient())
            {
                return null;
            }
        }

        bool StillPatient() => lostAt is not { } since || time.GetUtcNow() - since < LongestAbsence;
    }
}
