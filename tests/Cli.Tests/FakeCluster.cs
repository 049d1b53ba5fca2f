using System.Globalization;
using Cluster.Cli.Tests.Access;
using Cluster.Cli.Tests.Checkpoints;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Hosting;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Cluster.Cli.Tests;

/// <summary>A scheduler on a free port that answers as the test tells it to, and remembers what it was asked.</summary>
internal sealed class FakeCluster : IAsyncDisposable
{
    public const string Token = "secret";

    private WebApplication? _app;

    public string Address { get; private set; } = "";

    public List<SubmitJobRequest> Submitted { get; } = [];

    public List<ListJobsRequest> Listed { get; } = [];

    public List<WatchJobRequest> Watched { get; } = [];

    public List<StreamLogsRequest> Logged { get; } = [];

    public List<CancelJobRequest> Cancelled { get; } = [];

    public List<PauseJobRequest> Paused { get; } = [];

    public List<ResumeJobRequest> Resumed { get; } = [];

    public List<SubmitExperimentRequest> SubmittedExperiments { get; } = [];

    public List<CancelExperimentRequest> CancelledExperiments { get; } = [];

    public List<Google.Protobuf.IMessage> SearchRequests { get; } = [];

    public List<DescribeModelRequest> Described { get; } = [];

    /// <summary>The experiment that every call is about.</summary>
    public GetExperimentResponse Experiment { get; set; } = Builders.AnExperiment();

    public Func<IServerStreamWriter<WatchExperimentResponse>, Task> WatchExperiment { get; set; } = _ => Task.CompletedTask;

    public Func<SubmitJobRequest, Job> Submit { get; set; } = _ => Builders.AJob();

    public Func<ValidateJobRequest, JobSpec> Validate { get; set; } = request => Contracts.JobFiles.JobFile.Parse(request.Yaml);

    public Func<PreviewJobRequest, StartPreview> Preview { get; set; } = _ => new StartPreview();

    public Func<GetJobRequest, GetJobResponse> Get { get; set; } = _ => new GetJobResponse { Job = Builders.AJob() };

    public Run Run { get; } = new();

    public Func<ListJobsRequest, ListJobsResponse> List { get; set; } = _ => new ListJobsResponse();

    public Func<WatchJobRequest, IServerStreamWriter<WatchJobResponse>, CancellationToken, Task> Watch { get; set; } = (_, _, _) =>
        Task.CompletedTask;

    public Func<StreamLogsRequest, IServerStreamWriter<StreamLogsResponse>, CancellationToken, Task> Logs { get; set; } =
        (_, _, _) => Task.CompletedTask;

    public ListNodesResponse Nodes { get; } = new();

    public List<DrainNodeRequest> Drained { get; } = [];

    public List<QueueStatus> Queues { get; } = [];

    public List<Webhook> Webhooks { get; } = [];

    public List<UpdateJobRequest> Updated { get; } = [];

    public GetAccuracyResponse Accuracy { get; set; } = new();

    /// <summary>How many nodes, checkpoints or jobs of an experiment are one page.</summary>
    public int PageSize { get; set; } = int.MaxValue;

    public ListRunsResponse Runs { get; } = new();

    public Func<ListCheckpointsRequest, ListCheckpointsResponse> Checkpoints { get; set; } = _ => new ListCheckpointsResponse();

    public List<ListRunsRequest> ListedRuns { get; } = [];

    public List<MetricPoint> Points { get; } = [];

    /// <summary>A job's points; the same for all unless a test says otherwise.</summary>
    public Func<string, IEnumerable<MetricPoint>> PointsOf { get; set; }

    public FakeCheckpoints Weights { get; } = new();

    public FakeAccess Access { get; } = new();

    private FakeCluster() => PointsOf = _ => Points;

    /// <param name="tls">With which it speaks TLS; null: plain text.</param>
    public static async Task<FakeCluster> StartAsync(TlsOptions? tls = null)
    {
        var cluster = new FakeCluster();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http2;
                endpoint.UseTlsIfOn(ClientCertificates.None);
            }));
        builder.Configuration["Tls:CertificateFile"] = tls?.CertificateFile ?? "";
        builder.Configuration["Tls:KeyFile"] = tls?.KeyFile ?? "";
        builder.Services.AddTls(mutual: false);
        builder.Services.AddSingleton(cluster);
        builder.Services.AddSingleton(cluster.Weights);
        builder.Services.AddSingleton(cluster.Access);
        builder.Services.AddGrpc();
        cluster._app = builder.Build();
        cluster._app.MapGrpcService<JobEndpoint>();
        cluster._app.MapGrpcService<ExperimentEndpoint>();
        cluster._app.MapGrpcService<ModelEndpoint>();
        cluster._app.MapGrpcService<NodeEndpoint>();
        cluster._app.MapGrpcService<QueueEndpoint>();
        cluster._app.MapGrpcService<RunEndpoint>();
        cluster._app.MapGrpcService<WebhookEndpoint>();
        cluster._app.MapGrpcService<FakeCheckpoints>();
        cluster._app.MapGrpcService<FakeAccess.TokenEndpoint>();
        cluster._app.MapGrpcService<FakeAccess.AuditEndpoint>();
        cluster._app.MapGrpcService<FakeAccess.WorkspaceEndpoint>();
        await cluster._app.StartAsync();
        cluster.Address = cluster._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return cluster;
    }

    public async ValueTask DisposeAsync()
    {
        await _app!.StopAsync();
        await _app.DisposeAsync();
    }

    private (IReadOnlyList<T> Entries, string NextPageToken) Page<T>(
        IReadOnlyList<T> all, string pageToken, int most = int.MaxValue)
    {
        var begin = pageToken.Length == 0 ? 0 : int.Parse(pageToken, CultureInfo.InvariantCulture);
        var page = all.Skip(begin).Take(Math.Min(PageSize, most)).ToList();
        return (page, begin + page.Count < all.Count ? $"{begin + page.Count}" : "");
    }

    private static void CheckToken(ServerCallContext call)
    {
        if (call.RequestHeaders.GetValue("authorization") != $"Bearer {Token}")
            throw new RpcException(new Status(StatusCode.Unauthenticated, "no token given, or one nobody knows"));
    }

    private sealed class JobEndpoint(FakeCluster cluster) : JobService.JobServiceBase
    {
        public override Task<SubmitJobResponse> SubmitJob(SubmitJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Submitted.Add(request);
            return Task.FromResult(new SubmitJobResponse { Job = cluster.Submit(request) });
        }

        public override Task<ValidateJobResponse> ValidateJob(ValidateJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new ValidateJobResponse { Spec = cluster.Validate(request) });
        }

        public override Task<PreviewJobResponse> PreviewJob(PreviewJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new PreviewJobResponse
            {
                Spec = request.Spec,
                Memory = new MemoryEstimate { Total = 3L << 29 },
                Start = cluster.Preview(request),
            });
        }

        public override Task<GetJobResponse> GetJob(GetJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(cluster.Get(request));
        }

        public override Task<ListJobsResponse> ListJobs(ListJobsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Listed.Add(request.Clone());
            return Task.FromResult(cluster.List(request));
        }

        public override Task<CancelJobResponse> CancelJob(CancelJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Cancelled.Add(request);
            return Task.FromResult(new CancelJobResponse { Job = Builders.AJob(job => job.State = JobState.Cancelled) });
        }

        public override Task<PauseJobResponse> PauseJob(PauseJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Paused.Add(request);
            var reason = $"paused by ada: {request.Reason}";
            return Task.FromResult(new PauseJobResponse
            {
                Job = Builders.AJob(job => (job.State, job.Reason) = (JobState.Paused, reason)),
            });
        }

        public override Task<ResumeJobResponse> ResumeJob(ResumeJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Resumed.Add(request);
            return Task.FromResult(new ResumeJobResponse { Job = Builders.AJob() });
        }

        public override Task<UpdateJobResponse> UpdateJob(UpdateJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Updated.Add(request);
            var updated = Builders.AJob(job =>
                (job.QueueName, job.Priority) = (request.HasQueue ? request.Queue : job.QueueName, request.Priority));
            return Task.FromResult(new UpdateJobResponse { Job = updated });
        }

        public override Task WatchJob(
            WatchJobRequest request, IServerStreamWriter<WatchJobResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Watched.Add(request);
            return cluster.Watch(request, responseStream, context.CancellationToken);
        }

        public override Task StreamLogs(
            StreamLogsRequest request, IServerStreamWriter<StreamLogsResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Logged.Add(request);
            return cluster.Logs(request, responseStream, context.CancellationToken);
        }
    }

    private sealed class ExperimentEndpoint(FakeCluster cluster) : ExperimentService.ExperimentServiceBase
    {
        public override Task<SubmitExperimentResponse> SubmitExperiment(SubmitExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.SubmittedExperiments.Add(request);
            var (jobs, next) = cluster.Page(cluster.Experiment.Jobs, "");
            return Task.FromResult(
                new SubmitExperimentResponse { Experiment = cluster.Experiment.Experiment, Jobs = { jobs }, NextPageToken = next });
        }

        public override Task<ValidateExperimentResponse> ValidateExperiment(ValidateExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var plan = Contracts.JobFiles.ExperimentFile.Parse(request.Yaml);
            return Task.FromResult(new ValidateExperimentResponse
            {
                Name = plan.Name,
                Variants = { plan.Members.Select(member => new Variant { Name = member.Variant, Spec = member.Spec }) },
            });
        }

        public override Task<GetExperimentResponse> GetExperiment(GetExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var (jobs, next) = cluster.Page(cluster.Experiment.Jobs, request.PageToken);
            return Task.FromResult(new GetExperimentResponse
            {
                Experiment = cluster.Experiment.Experiment,
                Jobs = { jobs },
                Yaml = request.PageToken.Length == 0 ? cluster.Experiment.Yaml : "",
                NextPageToken = next,
            });
        }

        public override Task<ListExperimentsResponse> ListExperiments(ListExperimentsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new ListExperimentsResponse { Experiments = { cluster.Experiment.Experiment } });
        }

        public override Task<CancelExperimentResponse> CancelExperiment(CancelExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.CancelledExperiments.Add(request);
            var (jobs, next) = cluster.Page(cluster.Experiment.Jobs, "");
            return Task.FromResult(
                new CancelExperimentResponse { Experiment = cluster.Experiment.Experiment, Jobs = { jobs }, NextPageToken = next });
        }

        public override Task<PauseExperimentResponse> PauseExperiment(PauseExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.SearchRequests.Add(request);
            return Task.FromResult(new PauseExperimentResponse { Experiment = cluster.Experiment.Experiment });
        }

        public override Task<ResumeExperimentResponse> ResumeExperiment(ResumeExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.SearchRequests.Add(request);
            return Task.FromResult(new ResumeExperimentResponse { Experiment = cluster.Experiment.Experiment });
        }

        public override Task<LimitExperimentResponse> LimitExperiment(LimitExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.SearchRequests.Add(request);
            return Task.FromResult(new LimitExperimentResponse { Experiment = cluster.Experiment.Experiment });
        }

        public override Task WatchExperiment(
            WatchExperimentRequest request, IServerStreamWriter<WatchExperimentResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            return cluster.WatchExperiment(responseStream);
        }
    }

    private sealed class ModelEndpoint(FakeCluster cluster) : ModelService.ModelServiceBase
    {
        public override Task<DescribeModelResponse> DescribeModel(DescribeModelRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Described.Add(request);
            var description = new ModelDescription
            {
                Layers = { new ModelLayer
                {
                    Name = "conv1",
                    Kind = "Conv2d",
                    OutputShape = { 6, 28, 28 },
                    Parameters = 156,
                    MultiplyAdds = 117_600,
                } },
                Parameters = 156,
                MultiplyAdds = 117_600,
            };
            if (request.BatchSize > 0)
            {
                description.Memory = new MemoryEstimate
                {
                    Parameters = 2048,
                    Gradients = 2048,
                    OptimizerState = 4096,
                    Activations = 1 << 20,
                    Transient = 2 << 20,
                    Process = 150L << 20,
                    Total = 3L << 29,
                };
            }

            return Task.FromResult(new DescribeModelResponse { Model = request.Model, Description = description });
        }
    }

    private sealed class NodeEndpoint(FakeCluster cluster) : NodeService.NodeServiceBase
    {
        public override Task<EnrollNodeResponse> EnrollNode(EnrollNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new EnrollNodeResponse { Code = $"code-of-{request.Name}", ExpiresAt = Builders.At(0) });
        }

        public override Task<DrainNodeResponse> DrainNode(DrainNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Drained.Add(request);
            var node = cluster.Nodes.Nodes.Single(node => node.Name == request.NodeId);
            node.Drain = new Drain { By = "olga", Reason = request.Reason, KeepRunning = request.KeepRunning, Since = Builders.At(0) };
            return Task.FromResult(new DrainNodeResponse { Node = node });
        }

        public override Task<ResumeNodeResponse> ResumeNode(ResumeNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var node = cluster.Nodes.Nodes.Single(node => node.Name == request.NodeId);
            node.Drain = null;
            return Task.FromResult(new ResumeNodeResponse { Node = node });
        }

        public override Task<RemoveNodeResponse> RemoveNode(RemoveNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new RemoveNodeResponse { Node = cluster.Nodes.Nodes.Single(node => node.Name == request.NodeId) });
        }

        public override Task<ListNodesResponse> ListNodes(ListNodesRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var (nodes, next) = cluster.Page(cluster.Nodes.Nodes, request.PageToken);
            return Task.FromResult(new ListNodesResponse { Nodes = { nodes }, NextPageToken = next });
        }

        public override Task<GetNodeResponse> GetNode(GetNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new GetNodeResponse { Node = cluster.Nodes.Nodes.Single(node => node.Name == request.NodeId) });
        }
    }

    private sealed class QueueEndpoint(FakeCluster cluster) : QueueService.QueueServiceBase
    {
        public override Task<ListQueuesResponse> ListQueues(ListQueuesRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var (queues, next) = cluster.Page(cluster.Queues, request.PageToken);
            return Task.FromResult(new ListQueuesResponse { Queues = { queues }, NextPageToken = next });
        }

        public override Task<GetQueueResponse> GetQueue(GetQueueRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new GetQueueResponse { Queue = cluster.Queues.Single(status => status.Queue.Name == request.Name) });
        }

        public override Task<CreateQueueResponse> CreateQueue(CreateQueueRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Queues.Add(new QueueStatus { Queue = request.Queue });
            return Task.FromResult(new CreateQueueResponse { Queue = cluster.Queues[^1] });
        }

        public override Task<UpdateQueueResponse> UpdateQueue(UpdateQueueRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var known = cluster.Queues.Single(status => status.Queue.Name == request.Queue.Name);
            known.Queue = request.Queue;
            return Task.FromResult(new UpdateQueueResponse { Queue = known });
        }

        public override Task<DeleteQueueResponse> DeleteQueue(DeleteQueueRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Queues.RemoveAll(status => status.Queue.Name == request.Name);
            return Task.FromResult(new DeleteQueueResponse());
        }

        public override Task<GetAccuracyResponse> GetAccuracy(GetAccuracyRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(cluster.Accuracy);
        }
    }

    private sealed class WebhookEndpoint(FakeCluster cluster) : WebhookService.WebhookServiceBase
    {
        public override Task<CreateWebhookResponse> CreateWebhook(CreateWebhookRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Webhooks.Add(request.Webhook);
            return Task.FromResult(new CreateWebhookResponse { Webhook = request.Webhook, Secret = "whsec_once" });
        }

        public override Task<ListWebhooksResponse> ListWebhooks(ListWebhooksRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var (webhooks, next) = cluster.Page(cluster.Webhooks, request.PageToken);
            return Task.FromResult(new ListWebhooksResponse { Webhooks = { webhooks }, NextPageToken = next });
        }

        public override Task<DeleteWebhookResponse> DeleteWebhook(DeleteWebhookRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.Webhooks.RemoveAll(webhook => webhook.Name == request.Name);
            return Task.FromResult(new DeleteWebhookResponse());
        }

        public override Task<TestWebhookResponse> TestWebhook(TestWebhookRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var fault = cluster.Webhooks.Single(webhook => webhook.Name == request.Name).LastFault;
            return Task.FromResult(new TestWebhookResponse { Delivered = fault.Length == 0, Fault = fault });
        }
    }

    private sealed class RunEndpoint(FakeCluster cluster) : RunService.RunServiceBase
    {
        public override Task<ListRunsResponse> ListRuns(ListRunsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            cluster.ListedRuns.Add(request.Clone());
            var (runs, next) = cluster.Page(cluster.Runs.Runs, request.PageToken, request.PageSize);
            return Task.FromResult(new ListRunsResponse { Runs = { runs }, NextPageToken = next });
        }

        public override Task<GetRunResponse> GetRun(GetRunRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var found = cluster.Runs.Runs.FirstOrDefault(run => run.JobId.StartsWith(request.JobId, StringComparison.Ordinal));
            return Task.FromResult(new GetRunResponse { Run = found ?? cluster.Run });
        }

        public override Task StreamMetrics(
            StreamMetricsRequest request, IServerStreamWriter<StreamMetricsResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            return responseStream.WriteAsync(new StreamMetricsResponse { Points = { cluster.PointsOf(request.JobId) } });
        }

        public override Task<ListCheckpointsResponse> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(cluster.Checkpoints(request));
        }
    }
}
