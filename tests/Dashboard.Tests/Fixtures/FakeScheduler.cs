using System.Collections.Concurrent;
using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A scheduler that holds what a test puts there, tells watchers when that changes, and may go away and come back.</summary>
internal sealed class FakeScheduler : IAsyncDisposable
{
    public const string Token = "a-token-of-the-tests";

    /// <summary>Pages of one token share what is known of jobs; those of this one do not with the others.</summary>
    public const string OtherToken = "another-token-of-the-tests";

    /// <summary>Those of an identity provider that calls have come with.</summary>
    public static ConcurrentQueue<string> SignedTokens { get; } = new();

    private const int PageSize = 1_000;

    // All of a large experiment would be more than a client takes in a message.
    private const int JobsOfAMessage = 500;

    private readonly int _port;
    private readonly Lock _gate = new();
    private WebApplication? _app;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public FakeScheduler(int port) => _port = port;

    public string Address => $"http://127.0.0.1:{_port}";

    public ConcurrentDictionary<string, Job> Jobs { get; } = [];

    public ConcurrentDictionary<string, IReadOnlyList<MetricPoint>> Points { get; } = [];

    public ConcurrentDictionary<string, IReadOnlyList<LogLine>> Lines { get; } = [];

    public ConcurrentDictionary<string, IReadOnlyList<Checkpoint>> Checkpoints { get; } = [];

    public ConcurrentDictionary<string, Node> Nodes { get; } = [];

    public ConcurrentDictionary<string, Experiment> Experiments { get; } = [];

    public ConcurrentDictionary<string, QueueStatus> Queues { get; } = [];

    public GetDeviceHoursResponse DeviceHours { get; set; } = new();

    public ConcurrentQueue<GetDeviceHoursRequest> DeviceHoursAsked { get; } = [];

    private readonly ConcurrentDictionary<string, (int Count, TaskCompletionSource Second)> _readings = [];

    public ConcurrentQueue<SubmitJobRequest> Submitted { get; } = [];

    /// <summary>Conditions over runs that it understands, by their text: what they mean is the scheduler's concern.</summary>
    public ConcurrentDictionary<string, Func<Run, bool>> Conditions { get; } = [];

    /// <summary>Those of every checkpoint.</summary>
    public SplitWeights Weights { get; set; } = SplitWeights.OfTwoRanks();

    public ConcurrentQueue<NoteForgeryRequest> Forgeries { get; } = [];

    public async Task StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(System.Net.IPAddress.Loopback, _port, endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.AddSingleton(this);
        builder.Services.AddGrpc();
        _app = builder.Build();
        _app.MapGrpcService<JobEndpoint>();
        _app.MapGrpcService<ExperimentEndpoint>();
        _app.MapGrpcService<ModelEndpoint>();
        _app.MapGrpcService<NodeEndpoint>();
        _app.MapGrpcService<DataEndpoint>();
        _app.MapGrpcService<QueueEndpoint>();
        _app.MapGrpcService<ReportEndpoint>();
        _app.MapGrpcService<RunEndpoint>();
        _app.MapGrpcService<CheckpointEndpoint>();
        _app.MapGrpcService<AuditEndpoint>();
        await _app.StartAsync();
    }

    /// <summary>Without a word to who is connected.</summary>
    public async Task StopAsync()
    {
        if (_app is not { } app)
            return;
        _app = null;
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>A job as it is from now on.</summary>
    public Job Put(Job job)
    {
        Jobs[job.Id] = job;
        Tell();
        return job;
    }

    /// <summary>What a job's trainers wrote from now on.</summary>
    public void PutLines(string job, params string[] lines)
    {
        Lines[job] = [.. lines.Select((line, index) => new LogLine { Sequence = index + 1, Attempt = 1, Text = line })];
        Tell();
    }

    /// <summary>Ends when a job's curves are asked for a second time.</summary>
    public Task ReadAgainAsync(string job) => _readings[job].Second.Task.WaitAsync(TimeSpan.FromSeconds(90));

    public void Tell()
    {
        TaskCompletionSource told;
        lock (_gate)
            (told, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        told.SetResult();
    }

    /// <summary>Of what a test has put here nothing is left to the next.</summary>
    public void Forget()
    {
        Jobs.Clear();
        Points.Clear();
        Lines.Clear();
        Checkpoints.Clear();
        Nodes.Clear();
        Experiments.Clear();
        Queues.Clear();
        Conditions.Clear();
        Weights = SplitWeights.OfTwoRanks();
        DeviceHours = new GetDeviceHoursResponse();
        Tell();
    }

    private Task ChangedAsync()
    {
        lock (_gate)
            return _changed.Task;
    }

    /// <summary>Calls <paramref name="write"/> at once and after each change, until it says that there is no more.</summary>
    private async Task FollowAsync(Func<Task<bool>> write, CancellationToken cancellationToken)
    {
        Task changed;
        do
            changed = ChangedAsync();
        while (await write() && await WaitAsync());

        async Task<bool> WaitAsync()
        {
            await changed.WaitAsync(cancellationToken);
            return true;
        }
    }

    private void CountReading(string job)
    {
        var (count, second) = _readings.AddOrUpdate(
            job, _ => (1, new(TaskCreationOptions.RunContinuationsAsynchronously)), (_, known) => (known.Count + 1, known.Second));
        if (count > 1)
            second.TrySetResult();
    }

    private Job Find(string prefix) =>
        Jobs.Values.SingleOrDefault(job => job.Id.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))?.Clone()
        ?? throw new RpcException(new Status(StatusCode.NotFound, $"no job has an id that begins with {prefix}"));

    /// <summary>Of a series with more points than were asked for some: which these are is not the dashboard's concern.</summary>
    private List<MetricPoint> PointsOf(string job, StreamMetricsRequest request) =>
    [
        .. Points.GetValueOrDefault(job, []).Where(point => request.Names.Contains(point.Name)).GroupBy(point => point.Name)
            .SelectMany(series =>
            {
                var every = request.MaxPoints == 0 ? 1 : Math.Max(1, (series.Count() + request.MaxPoints - 1) / request.MaxPoints);
                return series.Where((_, index) => index % every == 0);
            }),
    ];

    private static void CheckToken(ServerCallContext context)
    {
        var authorization = context.RequestHeaders.GetValue("authorization") ?? "";
        // A provider has signed it, as far as this one knows.
        if (authorization.Split('.').Length == 3)
            SignedTokens.Enqueue(authorization["Bearer ".Length..]);
        else if (authorization is not ($"Bearer {Token}" or $"Bearer {OtherToken}"))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "the token is not known here"));
    }

    private static (IEnumerable<T> Page, string Next) Page<T>(IEnumerable<T> all, string token, int size)
    {
        var begin = token.Length == 0 ? 0 : int.Parse(token, CultureInfo.InvariantCulture);
        var page = all.Skip(begin).Take(Math.Min(size == 0 ? 100 : size, PageSize) + 1).ToList();
        var isLast = page.Count <= (size == 0 ? 100 : size);
        return isLast ? (page, "") : (page.SkipLast(1), $"{begin + page.Count - 1}");
    }

    private sealed class JobEndpoint(FakeScheduler scheduler) : JobService.JobServiceBase
    {
        public override Task<ListJobsResponse> ListJobs(ListJobsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var all = scheduler.Jobs.Values.Where(job => request.States.Count == 0 || request.States.Contains(job.State))
                .OrderByDescending(job => job.CreatedAt.ToDateTimeOffset()).ThenBy(job => job.Id);
            var (page, next) = Page(all, request.PageToken, request.PageSize);
            return Task.FromResult(new ListJobsResponse { Jobs = { page }, NextPageToken = next });
        }

        public override Task<GetJobResponse> GetJob(GetJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new GetJobResponse { Job = scheduler.Find(request.JobId) });
        }

        public override Task<CancelJobResponse> CancelJob(CancelJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var job = scheduler.Find(request.JobId);
            job.State = JobState.Cancelled;
            return Task.FromResult(new CancelJobResponse { Job = scheduler.Put(job) });
        }

        public override Task<PauseJobResponse> PauseJob(PauseJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var job = scheduler.Find(request.JobId);
            job.State = JobState.Paused;
            return Task.FromResult(new PauseJobResponse { Job = scheduler.Put(job) });
        }

        public override Task<ResumeJobResponse> ResumeJob(ResumeJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var job = scheduler.Find(request.JobId);
            job.State = JobState.Queued;
            return Task.FromResult(new ResumeJobResponse { Job = scheduler.Put(job) });
        }

        public override Task<SubmitJobResponse> SubmitJob(SubmitJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            scheduler.Submitted.Enqueue(request);
            var spec = JobFile.ParseMarked(request.Yaml);
            var job = Some.Job(spec.Name, change: made => made.Spec = spec);
            return Task.FromResult(new SubmitJobResponse { Job = scheduler.Put(job) });
        }

        public override Task<ValidateJobResponse> ValidateJob(ValidateJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            try
            {
                return Task.FromResult(new ValidateJobResponse { Spec = JobFile.Parse(request.Yaml) });
            }
            catch (JobFileException fault)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, fault.Message));
            }
        }

        public override Task WatchJob(
            WatchJobRequest request, IServerStreamWriter<WatchJobResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            var isFirst = request.AfterSequence == 0;
            return scheduler.FollowAsync(
                async () =>
                {
                    var job = scheduler.Find(request.JobId);
                    var message = new WatchJobResponse { Job = job };
                    if (isFirst)
                        message.Event = new JobEvent { Sequence = 1, Time = job.CreatedAt, ToState = job.State, Reason = job.Reason };
                    isFirst = false;
                    await responseStream.WriteAsync(message, context.CancellationToken);
                    return !job.State.IsFinal();
                },
                context.CancellationToken);
        }

        public override Task StreamLogs(
            StreamLogsRequest request, IServerStreamWriter<StreamLogsResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            var sent = request.AfterSequence;
            return scheduler.FollowAsync(
                async () =>
                {
                    var job = scheduler.Find(request.JobId);
                    var lines = scheduler.Lines.GetValueOrDefault(job.Id, []).Where(line => line.Sequence > sent).ToList();
                    sent += lines.Count;
                    await responseStream.WriteAsync(new StreamLogsResponse { Lines = { lines } }, context.CancellationToken);
                    return !job.State.IsFinal();
                },
                context.CancellationToken);
        }
    }

    private sealed class RunEndpoint(FakeScheduler scheduler) : RunService.RunServiceBase
    {
        public override Task<ListRunsResponse> ListRuns(ListRunsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            if (request.Where.Length > 0 && !scheduler.Conditions.ContainsKey(request.Where))
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"where, character 1: {request.Where} means nothing here"));
            var all = scheduler.Jobs.Values.OrderByDescending(job => job.CreatedAt.ToDateTimeOffset()).Select(Some.Run)
                .Where(scheduler.Conditions.GetValueOrDefault(request.Where, _ => true));
            var (page, next) = Page(all, request.PageToken, request.PageSize);
            return Task.FromResult(new ListRunsResponse { Runs = { page }, NextPageToken = next });
        }

        public override Task StreamMetrics(
            StreamMetricsRequest request, IServerStreamWriter<StreamMetricsResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            // Of a page's several readings, that of its curves.
            if (request.Names.Contains(MetricNames.TrainLoss))
                scheduler.CountReading(scheduler.Find(request.JobId).Id);
            var sent = 0;
            return scheduler.FollowAsync(
                async () =>
                {
                    var job = scheduler.Find(request.JobId);
                    var points = scheduler.PointsOf(job.Id, request);
                    if (points.Count > sent)
                        await responseStream.WriteAsync(
                            new StreamMetricsResponse { Points = { points.Skip(sent) } }, context.CancellationToken);
                    sent = points.Count;
                    return !job.State.IsFinal();
                },
                context.CancellationToken);
        }

        public override Task<ListCheckpointsResponse> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var job = scheduler.Find(request.JobId);
            return Task.FromResult(
                new ListCheckpointsResponse { Checkpoints = { scheduler.Checkpoints.GetValueOrDefault(job.Id, []) } });
        }
    }

    private sealed class AuditEndpoint(FakeScheduler scheduler) : AuditService.AuditServiceBase
    {
        public override Task<NoteForgeryResponse> NoteForgery(NoteForgeryRequest request, ServerCallContext context)
        {
            CheckToken(context);
            scheduler.Forgeries.Enqueue(request);
            return Task.FromResult(new NoteForgeryResponse());
        }
    }

    private sealed class CheckpointEndpoint(FakeScheduler scheduler) : CheckpointService.CheckpointServiceBase
    {
        public override Task<DescribeCheckpointResponse> DescribeCheckpoint(
            DescribeCheckpointRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new DescribeCheckpointResponse
            {
                Checkpoint = new Checkpoint { Id = request.CheckpointId },
                Manifest = scheduler.Weights.Manifest,
            });
        }

        public override async Task DownloadFile(
            DownloadFileRequest request, IServerStreamWriter<DownloadFileResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            foreach (var chunk in scheduler.Weights.Chunks(request.File))
                await responseStream.WriteAsync(new DownloadFileResponse { Data = ByteString.CopyFrom(chunk) }, context.CancellationToken);
        }
    }

    private sealed class ExperimentEndpoint(FakeScheduler scheduler) : ExperimentService.ExperimentServiceBase
    {
        public override Task<ListExperimentsResponse> ListExperiments(ListExperimentsRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new ListExperimentsResponse { Experiments = { scheduler.Experiments.Values } });
        }

        public override Task<PauseExperimentResponse> PauseExperiment(PauseExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(
                new PauseExperimentResponse { Experiment = Change(request.ExperimentId, search => search.Phase = SearchPhase.Paused) });
        }

        public override Task<ResumeExperimentResponse> ResumeExperiment(ResumeExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(
                new ResumeExperimentResponse { Experiment = Change(request.ExperimentId, search => search.Phase = SearchPhase.Running) });
        }

        public override Task<LimitExperimentResponse> LimitExperiment(LimitExperimentRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new LimitExperimentResponse
            {
                Experiment = Change(request.ExperimentId, search =>
                    (search.MaxTrials, search.MaxConcurrent) = (request.MaxTrials, request.MaxConcurrent)),
            });
        }

        public override Task WatchExperiment(
            WatchExperimentRequest request, IServerStreamWriter<WatchExperimentResponse> responseStream, ServerCallContext context)
        {
            CheckToken(context);
            return scheduler.FollowAsync(
                async () =>
                {
                    var experiment = scheduler.Experiments[request.ExperimentId];
                    var jobs = scheduler.Jobs.Values.Where(job => job.ExperimentId == experiment.Id).OrderBy(job => job.Variant).ToList();
                    foreach (var some in jobs.Chunk(JobsOfAMessage))
                        await responseStream.WriteAsync(
                            new WatchExperimentResponse { Experiment = experiment, Jobs = { some } }, context.CancellationToken);
                    return !jobs.TrueForAll(job => job.State.IsFinal());
                },
                context.CancellationToken);
        }

        private Experiment Change(string id, Action<SearchStanding> change)
        {
            var experiment = scheduler.Experiments[id].Clone();
            change(experiment.Search);
            scheduler.Experiments[id] = experiment;
            scheduler.Tell();
            return experiment;
        }
    }

    private sealed class NodeEndpoint(FakeScheduler scheduler) : NodeService.NodeServiceBase
    {
        public override Task<ListNodesResponse> ListNodes(ListNodesRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new ListNodesResponse { Nodes = { scheduler.Nodes.Values.OrderBy(node => node.Name) } });
        }

        public override Task<GetNodeResponse> GetNode(GetNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(scheduler.Nodes.TryGetValue(request.NodeId, out var node)
                ? new GetNodeResponse { Node = node }
                : throw new RpcException(new Status(StatusCode.NotFound, $"no node has the id {request.NodeId}")));
        }

        public override Task<DrainNodeResponse> DrainNode(DrainNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var node = scheduler.Nodes[request.NodeId].Clone();
            node.Drain = new Drain { By = "olga", Reason = request.Reason, KeepRunning = request.KeepRunning, Since = Some.At(0) };
            return Task.FromResult(new DrainNodeResponse { Node = scheduler.Nodes[node.Id] = node });
        }

        public override Task<ResumeNodeResponse> ResumeNode(ResumeNodeRequest request, ServerCallContext context)
        {
            CheckToken(context);
            var node = scheduler.Nodes[request.NodeId].Clone();
            node.Drain = null;
            return Task.FromResult(new ResumeNodeResponse { Node = scheduler.Nodes[node.Id] = node });
        }
    }

    private sealed class DataEndpoint(FakeScheduler scheduler) : DataService.DataServiceBase
    {
        /// <summary>As many grey pictures as the epoch's number, each of one level.</summary>
        public override Task<SampleJobResponse> SampleJob(SampleJobRequest request, ServerCallContext context)
        {
            CheckToken(context);
            scheduler.Find(request.JobId);
            const int Size = 28;
            var samples = Enumerable.Range(0, request.Epoch + 1).Select(index => new DataSample
            {
                ClassName = $"class {index}",
                Pixels = ByteString.CopyFrom(Enumerable.Repeat((byte)(40 * index), Size * Size).ToArray()),
            });
            return Task.FromResult(new SampleJobResponse
            {
                Samples = new DataSamples { Size = Size, Channels = 1, TrainSamples = 55_000, Samples = { samples } },
            });
        }
    }

    private sealed class QueueEndpoint(FakeScheduler scheduler) : QueueService.QueueServiceBase
    {
        public override Task<ListQueuesResponse> ListQueues(ListQueuesRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new ListQueuesResponse { Queues = { scheduler.Queues.Values.OrderBy(queue => queue.Queue.Name) } });
        }
    }

    private sealed class ReportEndpoint(FakeScheduler scheduler) : ReportService.ReportServiceBase
    {
        public override Task<GetDeviceHoursResponse> GetDeviceHours(GetDeviceHoursRequest request, ServerCallContext context)
        {
            CheckToken(context);
            scheduler.DeviceHoursAsked.Enqueue(request);
            return Task.FromResult(scheduler.DeviceHours);
        }
    }

    private sealed class ModelEndpoint : ModelService.ModelServiceBase
    {
        public override Task<DescribeModelResponse> DescribeModel(DescribeModelRequest request, ServerCallContext context)
        {
            CheckToken(context);
            return Task.FromResult(new DescribeModelResponse
            {
                Model = request.Model,
                Description = new ModelDescription
                {
                    Layers = { new ModelLayer { Name = "conv1", Kind = "Conv2d", OutputShape = { 6, 28, 28 }, Parameters = 156 } },
                    Parameters = 61_706,
                    MultiplyAdds = 416_520,
                    Memory = new MemoryEstimate { Total = request.BatchSize << 20 },
                },
            });
        }
    }
}
