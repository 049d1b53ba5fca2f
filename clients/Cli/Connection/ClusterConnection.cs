using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Connection;

/// <summary>The way to a cluster with the caller's token.</summary>
internal sealed class ClusterConnection : IDisposable
{
    public const string DefaultServer = "http://127.0.0.1:7070";

    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(30);

    private readonly SchedulerChannel _channel;
    private readonly SchedulerChannel _bulk;
    private readonly string? _token;

    private ClusterConnection(SchedulerAddresses schedulers, ConnectionPings pings, CertificateFiles? certificates, string? token)
    {
        Schedulers = schedulers;
        // Where there is another scheduler to go to, it is worth finding out soon that one is away; but not where weights on a slow line
        // keep a ping waiting.
        var channel = _channel = schedulers.OpenChannel(schedulers.AreSeveral ? ConnectionPings.Prompt : pings, certificates);
        _bulk = schedulers.OpenChannel(pings, certificates);
        _token = token;
        Jobs = new JobService.JobServiceClient(channel);
        Experiments = new ExperimentService.ExperimentServiceClient(channel);
        Models = new ModelService.ModelServiceClient(channel);
        Nodes = new NodeService.NodeServiceClient(channel);
        Queues = new QueueService.QueueServiceClient(channel);
        Runs = new RunService.RunServiceClient(channel);
        Webhooks = new WebhookService.WebhookServiceClient(channel);
        Tokens = new TokenService.TokenServiceClient(channel);
        Workspaces = new WorkspaceService.WorkspaceServiceClient(channel);
        Audit = new AuditService.AuditServiceClient(channel);
        Checkpoints = new CheckpointService.CheckpointServiceClient(_bulk);
    }

    public SchedulerAddresses Schedulers { get; }

    public JobService.JobServiceClient Jobs { get; }

    public ExperimentService.ExperimentServiceClient Experiments { get; }

    public ModelService.ModelServiceClient Models { get; }

    public NodeService.NodeServiceClient Nodes { get; }

    public QueueService.QueueServiceClient Queues { get; }

    public RunService.RunServiceClient Runs { get; }

    public WebhookService.WebhookServiceClient Webhooks { get; }

    public CheckpointService.CheckpointServiceClient Checkpoints { get; }

    public TokenService.TokenServiceClient Tokens { get; }

    public WorkspaceService.WorkspaceServiceClient Workspaces { get; }

    public AuditService.AuditServiceClient Audit { get; }

    /// <param name="server">The scheduler's address, or several with commas between.</param>
    /// <param name="token">Null to call without one, which a scheduler answers with Unauthenticated.</param>
    /// <param name="pings">How soon one scheduler that says nothing any more is found out.</param>
    /// <param name="certificates">By which a scheduler at https:// is recognised; null: the system's authorities.</param>
    public static ClusterConnection To(string server, string? token, ConnectionPings pings, CertificateFiles? certificates = null)
    {
        if (!SchedulerAddresses.TryParse(server, out var schedulers))
            throw new CliException(
                ExitCode.Usage, $"server is {server} but must be an address; write it as {DefaultServer}, or several with commas between");
        if (token is not null && token.Any(character => char.IsControl(character) || character > 127))
            throw new CliException(ExitCode.Usage, "the token holds characters that no token has; copy it again, on one line");
        return new(schedulers, pings, certificates, token);
    }

    /// <summary>For a call that answers once.</summary>
    public CallOptions Call(CancellationToken cancellationToken) =>
        new(Headers(), DateTime.UtcNow + AnswerTimeout, cancellationToken);

    /// <summary>For a stream that goes on for as long as its job does.</summary>
    public CallOptions Stream(CancellationToken cancellationToken) => new(Headers(), cancellationToken: cancellationToken);

    /// <summary>
    /// Before a call that sends a stream, which could not be sent again to another scheduler: where there are several, calls go to one that
    /// answers from here on.
    /// </summary>
    public async Task FindSchedulerAsync(CancellationToken cancellationToken)
    {
        if (Schedulers.AreSeveral)
            await Jobs.ListJobsAsync(new ListJobsRequest { PageSize = 1 }, Call(cancellationToken));
    }

    public void Dispose()
    {
        _channel.Dispose();
        _bulk.Dispose();
    }

    private Metadata Headers() => _token is null ? [] : new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(_token) } };
}
