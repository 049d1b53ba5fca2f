using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Hosting;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Connection;

/// <summary>The way to the schedulers, which all sessions share: each call carries its own session's token.</summary>
public sealed class SchedulerConnection : IDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(30);

    private readonly SchedulerChannel _channel;
    private readonly SchedulerChannel _bulk;

    public SchedulerConnection(IOptions<DashboardOptions> options, CertificateFiles certificates)
    {
        if (!SchedulerAddresses.TryParse(options.Value.SchedulerAddress, out var schedulers))
            throw new InvalidOperationException("options are validated at the start");
        // Where there is another scheduler to go to, it is worth finding out soon that one is away; but not where weights on a slow line
        // keep a ping waiting.
        _channel = schedulers.OpenChannel(schedulers.AreSeveral ? ConnectionPings.Prompt : ConnectionPings.Patient, certificates);
        _bulk = schedulers.OpenChannel(ConnectionPings.Patient, certificates);
        Jobs = new JobService.JobServiceClient(_channel);
        Experiments = new ExperimentService.ExperimentServiceClient(_channel);
        Models = new ModelService.ModelServiceClient(_channel);
        Nodes = new NodeService.NodeServiceClient(_channel);
        Data = new DataService.DataServiceClient(_channel);
        Queues = new QueueService.QueueServiceClient(_channel);
        Reports = new ReportService.ReportServiceClient(_channel);
        Runs = new RunService.RunServiceClient(_channel);
        Audit = new AuditService.AuditServiceClient(_channel);
        Checkpoints = new CheckpointService.CheckpointServiceClient(_bulk);
    }

    public JobService.JobServiceClient Jobs { get; }

    public ExperimentService.ExperimentServiceClient Experiments { get; }

    public ModelService.ModelServiceClient Models { get; }

    public NodeService.NodeServiceClient Nodes { get; }

    public DataService.DataServiceClient Data { get; }

    public QueueService.QueueServiceClient Queues { get; }

    public ReportService.ReportServiceClient Reports { get; }

    public RunService.RunServiceClient Runs { get; }

    public AuditService.AuditServiceClient Audit { get; }

    public CheckpointService.CheckpointServiceClient Checkpoints { get; }

    /// <summary>For a call that answers once.</summary>
    public static CallOptions Call(string token, CancellationToken cancellationToken) =>
        new(Headers(token), DateTime.UtcNow + AnswerTimeout, cancellationToken);

    /// <summary>For a stream that goes on for as long as somebody looks.</summary>
    public static CallOptions Stream(string token, CancellationToken cancellationToken) =>
        new(Headers(token), cancellationToken: cancellationToken);

    public void Dispose()
    {
        _channel.Dispose();
        _bulk.Dispose();
    }

    private static Metadata Headers(string token) => new() { { CallMetadata.Authorization, CallMetadata.Bearer(token) } };
}
