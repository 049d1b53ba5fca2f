using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>A client that makes a call again, with the same request and at another scheduler, until one has answered it.</summary>
internal sealed class PatientClient : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly SchedulerChannel _channel;

    public PatientClient(string addresses, string token)
    {
        SchedulerAddresses.TryParse(addresses, out var all).ShouldBeTrue(addresses);
        _channel = all!.OpenChannel(ConnectionPings.Prompt);
        var invoker = _channel.Intercept(metadata =>
        {
            metadata.Add(CallMetadata.Authorization, CallMetadata.Bearer(token));
            return metadata;
        });
        (Jobs, Runs, Checkpoints) = (new(invoker), new(invoker), new(invoker));
    }

    public JobService.JobServiceClient Jobs { get; }

    public RunService.RunServiceClient Runs { get; }

    public CheckpointService.CheckpointServiceClient Checkpoints { get; }

    /// <summary>Calls until it is answered; what is refused for good is thrown.</summary>
    public static async Task<T> AskAsync<T>(Func<CallOptions, Task<T>> call, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await call(new CallOptions(deadline: DateTime.UtcNow + Deadline, cancellationToken: cancellationToken));
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested && e.StatusCode
                is StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Internal or StatusCode.Cancelled)
            {
                await Task.Delay(Pause, cancellationToken);
            }
        }
    }

    public async Task<string> SubmitAsync(string yaml, CancellationToken cancellationToken)
    {
        var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml };
        return (await AskAsync(async options => await Jobs.SubmitJobAsync(request, options), cancellationToken)).Job.Id;
    }

    public async Task<Job> GetAsync(string job, CancellationToken cancellationToken) =>
        (await AskAsync(async options => await Jobs.GetJobAsync(new GetJobRequest { JobId = job }, options), cancellationToken)).Job;

    /// <summary>The job as it is once it is as wanted. One that is over and not as wanted fails the test.</summary>
    public async Task<Job> UntilAsync(string id, Func<Job, bool> wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            var job = await GetAsync(id, cancellationToken);
            if (wanted(job))
                return job;
            if (job.State.IsFinal())
                throw new InvalidOperationException($"job {id} is {job.State} after {job.Attempt} attempts: {job.Reason}");
            await Task.Delay(Pause, cancellationToken);
        }
    }

    public Task<Job> SucceededAsync(string job, CancellationToken cancellationToken) =>
        UntilAsync(job, now => now.State == JobState.Succeeded, cancellationToken);

    public void Dispose() => _channel.Dispose();
}
