using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Agent;

/// <summary>
/// The scheduler as agents see it, over real gRPC. It can go away and come back on the same port, and remembers what it was told.
/// </summary>
internal sealed class FakeScheduler : IAsyncDisposable
{
    public const string NodeToken = "node-token";
    public const string EnrollmentCode = "enrollment-code";

    private readonly TaskCompletionSource _haveMet = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WebApplication? _app;

    /// <summary>Kept for it while it is away.</summary>
    public int Port { get; } = FreePorts.Take();

    public Channel<RegisterRequest> Registrations { get; } = Channel.CreateUnbounded<RegisterRequest>();

    public Channel<HeartbeatRequest> Heartbeats { get; } = Channel.CreateUnbounded<HeartbeatRequest>();

    public Channel<UpdateDataSetsRequest> DataSets { get; } = Channel.CreateUnbounded<UpdateDataSetsRequest>();

    public Channel<ReportExitRequest> Exits { get; } = Channel.CreateUnbounded<ReportExitRequest>();

    public Channel<LogLine> Lines { get; } = Channel.CreateUnbounded<LogLine>();

    public ConcurrentQueue<AppendLogsRequest> LogBatches { get; } = new();

    public Channel<ReportRequest> Reports { get; } = Channel.CreateUnbounded<ReportRequest>();

    public ConcurrentQueue<string> Order { get; } = new();

    public ConcurrentQueue<CheckpointManifest> Manifests { get; } = new();

    public ConcurrentDictionary<ByteString, ByteString> Chunks { get; } = new();

    /// <summary>Called for each chunk that arrives; may throw.</summary>
    public Action<int> OnChunk { get; set; } = _ => { };

    /// <summary>How often each chunk has left.</summary>
    public ConcurrentDictionary<ByteString, int> ChunksOut { get; } = new();

    /// <summary>Called for each chunk that leaves; may throw.</summary>
    public Action<int> OnChunkOut { get; set; } = _ => { };

    /// <summary>Nodes whose own tokens it knows.</summary>
    public ConcurrentQueue<EnrollRequest> Enrolled { get; } = new();

    /// <summary>Called when a node is enrolled, before it is told so; may throw.</summary>
    public Action OnEnroll { get; set; } = () => { };

    public Func<HeartbeatRequest, HeartbeatResponse> OnHeartbeat { get; set; } = _ => new HeartbeatResponse();

    public Action<ReportRequest> OnReport { get; set; } = _ => { };

    /// <summary>Called before lines of log are taken.</summary>
    public Func<Task> OnLogs { get; set; } = () => Task.CompletedTask;

    /// <summary>Called before a rendezvous is answered.</summary>
    public Func<CancellationToken, Task> OnRendezvous { get; set; } = _ => Task.CompletedTask;

    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How many ranks meet before they are told of each other.</summary>
    public int WorldSize { get; set; } = 1;

    public ConcurrentDictionary<int, RankEndpoint> Endpoints { get; } = new();

    public Metadata? LastRankHeaders { get; private set; }

    public static async Task<FakeScheduler> StartAsync(CancellationToken cancellationToken)
    {
        var scheduler = new FakeScheduler();
        await scheduler.ComeBackAsync(cancellationToken);
        return scheduler;
    }

    /// <summary>Starts to listen, on the same port each time.</summary>
    public async Task ComeBackAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(
            kestrel => kestrel.Listen(IPAddress.Loopback, Port, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        _app = builder.Build();
        _app.MapGrpcService<Registry>();
        _app.MapGrpcService<Attempts>();
        await _app.StartAsync(cancellationToken);
    }

    /// <summary>Goes away: open calls are cut.</summary>
    public async Task GoAwayAsync()
    {
        if (_app is not { } app)
            return;
        _app = null;
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }

    public ValueTask DisposeAsync() => new(GoAwayAsync());

    private void CheckNode(ServerCallContext context)
    {
        var token = CallMetadata.TokenOf(context.RequestHeaders.GetValue(CallMetadata.Authorization)) ?? "";
        if (token != NodeToken && Enrolled.All(enrolled => !enrolled.TokenSha256.Span.SequenceEqual(AccessSecret.Hash(token))))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "not the node token"));
    }

    private sealed class Registry(FakeScheduler scheduler) : AgentRegistryService.AgentRegistryServiceBase
    {
        public override Task<EnrollResponse> Enroll(EnrollRequest request, ServerCallContext context)
        {
            if (CallMetadata.TokenOf(context.RequestHeaders.GetValue(CallMetadata.Authorization)) != EnrollmentCode)
                throw new RpcException(new Status(StatusCode.Unauthenticated, "not the code"));
            scheduler.Enrolled.Enqueue(request);
            scheduler.OnEnroll();
            return Task.FromResult(new EnrollResponse());
        }

        public override Task<RegisterResponse> Register(RegisterRequest request, ServerCallContext context)
        {
            scheduler.CheckNode(context);
            scheduler.Registrations.Writer.TryWrite(request);
            return Task.FromResult(new RegisterResponse { HeartbeatInterval = Duration.FromTimeSpan(scheduler.HeartbeatInterval) });
        }

        public override Task<HeartbeatResponse> Heartbeat(HeartbeatRequest request, ServerCallContext context)
        {
            scheduler.CheckNode(context);
            scheduler.Heartbeats.Writer.TryWrite(request);
            return Task.FromResult(scheduler.OnHeartbeat(request));
        }

        public override Task<UpdateDataSetsResponse> UpdateDataSets(UpdateDataSetsRequest request, ServerCallContext context)
        {
            scheduler.CheckNode(context);
            scheduler.Order.Enqueue("data");
            scheduler.DataSets.Writer.TryWrite(request);
            return Task.FromResult(new UpdateDataSetsResponse());
        }

        public override Task<ReportExitResponse> ReportExit(ReportExitRequest request, ServerCallContext context)
        {
            scheduler.CheckNode(context);
            scheduler.Order.Enqueue("exit");
            scheduler.Exits.Writer.TryWrite(request);
            return Task.FromResult(new ReportExitResponse());
        }

        public override async Task<AppendLogsResponse> AppendLogs(AppendLogsRequest request, ServerCallContext context)
        {
            scheduler.CheckNode(context);
            await scheduler.OnLogs();
            scheduler.Order.Enqueue("logs");
            scheduler.LogBatches.Enqueue(request);
            foreach (var line in request.Lines)
                scheduler.Lines.Writer.TryWrite(line);
            return new AppendLogsResponse();
        }
    }

    private sealed class Attempts(FakeScheduler scheduler) : AttemptService.AttemptServiceBase
    {
        public override Task<ReportResponse> Report(ReportRequest request, ServerCallContext context)
        {
            scheduler.LastRankHeaders = context.RequestHeaders;
            scheduler.OnReport(request);
            scheduler.Order.Enqueue("report");
            scheduler.Reports.Writer.TryWrite(request);
            return Task.FromResult(new ReportResponse());
        }

        public override async Task<RendezvousResponse> Rendezvous(RendezvousRequest request, ServerCallContext context)
        {
            if (request.Endpoint is null)
                throw new RpcException(new Status(StatusCode.InvalidArgument, "endpoint is unset"));
            await scheduler.OnRendezvous(context.CancellationToken);
            scheduler.Endpoints[request.Endpoint.Rank] = request.Endpoint;
            if (scheduler.Endpoints.Count == scheduler.WorldSize)
                scheduler._haveMet.TrySetResult();
            await scheduler._haveMet.Task.WaitAsync(context.CancellationToken);
            return new RendezvousResponse { Endpoints = { scheduler.Endpoints.Values.OrderBy(endpoint => endpoint.Rank) } };
        }

        public override async Task<PutChunksResponse> PutChunks(
            IAsyncStreamReader<PutChunksRequest> requestStream, ServerCallContext context)
        {
            var response = new PutChunksResponse();
            while (await requestStream.MoveNext(context.CancellationToken))
            {
                var chunk = requestStream.Current;
                scheduler.OnChunk(scheduler.Chunks.Count);
                scheduler.Chunks[chunk.Sha256] = chunk.Data;
                response.StoredBytes += chunk.Data.Length;
            }

            return response;
        }

        public override Task<CommitCheckpointResponse> CommitCheckpoint(CommitCheckpointRequest request, ServerCallContext context)
        {
            scheduler.Order.Enqueue("checkpoint");
            scheduler.Manifests.Enqueue(request.Manifest);
            return Task.FromResult(new CommitCheckpointResponse { CheckpointId = Guid.NewGuid().ToString() });
        }

        public override Task<GetCheckpointResponse> GetCheckpoint(GetCheckpointRequest request, ServerCallContext context) =>
            throw new RpcException(new Status(StatusCode.NotFound, "no such checkpoint"));

        public override async Task GetChunks(
            GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, ServerCallContext context)
        {
            for (var i = 0; i < request.Sha256.Count; i++)
            {
                if (!scheduler.Chunks.ContainsKey(request.Sha256[i]))
                    throw new RpcException(new Status(StatusCode.NotFound, "no such chunk"));
                scheduler.OnChunkOut(i);
                scheduler.ChunksOut.AddOrUpdate(request.Sha256[i], 1, (_, before) => before + 1);
                await responseStream.WriteAsync(
                    new GetChunksResponse { Data = scheduler.Chunks[request.Sha256[i]] }, context.CancellationToken);
            }
        }
    }
}
