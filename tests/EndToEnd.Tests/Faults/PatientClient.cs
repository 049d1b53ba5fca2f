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

    private readonly LocalCluster _cluster;
    private readonly SchedulerChannel _channel;

    /// <param name="cluster">Whose administrator it is.</param>
    /// <param name="addresses">Of its schedulers, the first one first.</param>
    public PatientClient(LocalCluster cluster, string addresses)
    {
        _cluster = cluster;
        SchedulerAddresses.TryParse(addresses, out var all).ShouldBeTrue(addresses);
        _channel = all!.OpenChannel(ConnectionPings.Prompt);
        var invoker = _channel.Intercept(metadata =>
        {
            metadata.Add(CallMetadata.Authorization, CallMetadata.Bearer(cluster.Token));
            return metadata;
        });
        (Jobs, Runs, Checkpoints) = (new(invoker), new(invoker), new(invoker));
        (Experiments, Queues, Nodes, Models) = (new(invoker), new(invoker), new(invoker), new(invoker));
        (Tokens, Workspaces, Audit) = (new(invoker), new(invoker), new(invoker));
        (Webhooks, Data, Reports) = (new(invoker), new(invoker), new(invoker));
    }

    public JobService.JobServiceClient Jobs { get; }

    public RunService.RunServiceClient Runs { get; }

    public CheckpointService.CheckpointServiceClient Checkpoints { get; }

    public ExperimentService.ExperimentServiceClient Experiments { get; }

    public QueueService.QueueServiceClient Queues { get; }

    public NodeService.NodeServiceClient Nodes { get; }

    public ModelService.ModelServiceClient Models { get; }

    public TokenService.TokenServiceClient Tokens { get; }

    public WorkspaceService.WorkspaceServiceClient Workspaces { get; }

    public AuditService.AuditServiceClient Audit { get; }

    public WebhookService.WebhookServiceClient Webhooks { get; }

    public DataService.DataServiceClient Data { get; }

    public ReportService.ReportServiceClient Reports { get; }

    /// <summary>Calls until it is answered; what is refused for good is thrown.</summary>
    public static Task<T> AskAsync<T>(Func<CallOptions, Task<T>> call, CancellationToken cancellationToken)
    {
        RpcException? last = null;
        return Patience.BoundAsync(UntilAnsweredAsync, () => Task.FromResult($"the last answer was {last?.Status}"), cancellationToken);

        async Task<T> UntilAnsweredAsync(CancellationToken token)
        {
            while (true)
            {
                try
                {
                    return await call(new CallOptions(deadline: DateTime.UtcNow + Deadline, cancellationToken: token));
                }
                catch (RpcException e) when (!token.IsCancellationRequested && e.StatusCode
                    is StatusCode.Unavailable or StatusCode.DeadlineExceeded or StatusCode.Internal or StatusCode.Cancelled)
                {
                    last = e;
                    await Task.Delay(Pause, token);
                }
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
    public Task<Job> UntilAsync(string id, Func<Job, bool> wanted, CancellationToken cancellationToken)
    {
        return Patience.BoundAsync(UntilWantedAsync, () => _cluster.FindingsAsync(id), cancellationToken);

        async Task<Job> UntilWantedAsync(CancellationToken token)
        {
            while (true)
            {
                var job = await GetAsync(id, token);
                if (wanted(job))
                    return job;
                if (job.State.IsFinal())
                    throw new InvalidOperationException($"job {id} is {job.State} after {job.Attempt} attempts: {job.Reason}");
                await Task.Delay(Pause, token);
            }
        }
    }

    public Task<Job> SucceededAsync(string job, CancellationToken cancellationToken) =>
        UntilAsync(job, now => now.State == JobState.Succeeded, cancellationToken);

    public void Dispose() => _channel.Dispose();
}
