using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Runs;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>What trainers call, through their agents. Nothing here trusts the caller: each store checks the attempt as it writes.</summary>
public sealed class AttemptsEndpoint(
    AttemptReports reports, Rendezvous rendezvous, ChunkStore chunks, CheckpointStore checkpoints, SeriesLimit series,
    IOptions<LimitOptions> limits)
    : AttemptService.AttemptServiceBase
{
    private const int LongestMetricName = 200;

    public override async Task<RendezvousResponse> Rendezvous(RendezvousRequest request, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        if (request.Endpoint is null || request.Endpoint.Rank != credential.Rank)
            throw new InvalidRequestException(
                $"endpoint.rank is {request.Endpoint?.Rank.ToString() ?? "unset"}; rank {credential.Rank} posts its own endpoint");
        return await rendezvous.JoinAsync(credential, request, Cluster.Scheduler.Ranks.Rendezvous.Patience, context.CancellationToken);
    }

    public override async Task<ReportResponse> Report(ReportRequest request, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        if (request.Sequence < 1)
            throw new InvalidRequestException($"sequence is {request.Sequence}; reports are numbered from 1");
        if (request.Points.Count > limits.Value.PointsPerReport)
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted,
                $"a report has {request.Points.Count} points; at most {limits.Value.PointsPerReport} are taken (Limits:PointsPerReport)"));
        }

        foreach (var point in request.Points)
        {
            RequestText.Check("points.name", point.Name, LongestMetricName);
            RequestTime.Check("points.time", point.Time);
        }

        if (request.Points.Count > 0
            && !await series.TryAddAsync(credential.Job, request.Points.Select(point => point.Name), context.CancellationToken))
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted,
                $"job {credential.Job} would have more than {limits.Value.SeriesPerJob} series of metrics (Limits:SeriesPerJob)"));
        }

        await reports.ReportAsync(credential, request, context.CancellationToken);
        return new ReportResponse();
    }

    public override async Task<PutChunksResponse> PutChunks(IAsyncStreamReader<PutChunksRequest> requestStream, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        var stored = await chunks.PutAsync(credential, requestStream.ReadAllAsync(context.CancellationToken), context.CancellationToken);
        return new PutChunksResponse { StoredBytes = stored };
    }

    public override async Task<CommitCheckpointResponse> CommitCheckpoint(CommitCheckpointRequest request, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        if (request.Manifest is null)
            throw new InvalidRequestException("manifest is unset; a checkpoint is what its manifest names");
        if (!Enum.IsDefined(request.Manifest.Kind))
            throw new InvalidRequestException($"manifest.kind is {request.Manifest.Kind}, which no kind has");
        if (request.Manifest.Files.FirstOrDefault(file => file.Bytes != file.Chunks.Sum(chunk => (long)chunk.Bytes)) is { } odd)
        {
            throw new InvalidRequestException(
                $"manifest.files has '{odd.Name}' of {odd.Bytes} bytes, but chunks of {odd.Chunks.Sum(chunk => (long)chunk.Bytes)}");
        }

        if (request.Manifest.Files.SelectMany(file => file.Chunks).FirstOrDefault(chunk => chunk.Bytes < 1) is { } empty)
            throw new InvalidRequestException($"manifest.files has a chunk of {empty.Bytes} bytes; a chunk has one or more");
        var id = await checkpoints.CommitAsync(credential, request.Manifest, request.Parts, context.CancellationToken);
        return new CommitCheckpointResponse { CheckpointId = id.ToString() };
    }

    public override async Task<GetCheckpointResponse> GetCheckpoint(GetCheckpointRequest request, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        return new GetCheckpointResponse
        {
            Manifest = await checkpoints.GetManifestAsync(credential.Job, ReadCheckpoint(request.CheckpointId), context.CancellationToken),
        };
    }

    public override async Task GetChunks(
        GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, ServerCallContext context)
    {
        var credential = AttemptOf(context);
        var checkpoint = ReadCheckpoint(request.CheckpointId);
        // Refuses what the job may not read.
        await checkpoints.GetManifestAsync(credential.Job, checkpoint, context.CancellationToken);
        foreach (var hash in request.Sha256)
        {
            var data = UnsafeByteOperations.UnsafeWrap(await chunks.GetAsync(checkpoint, hash, context.CancellationToken));
            await responseStream.WriteAsync(new GetChunksResponse { Data = data }, context.CancellationToken);
        }
    }

    /// <summary>The attempt whose secret the interceptor has checked.</summary>
    private static AttemptCredential AttemptOf(ServerCallContext context) =>
        (AttemptCredential)context.UserState[typeof(AttemptCredential)];

    private static Guid ReadCheckpoint(string text) =>
        Guid.TryParse(text, out var id) ? id : throw new InvalidRequestException($"checkpoint_id is '{text}'; give the checkpoint's UUID");
}
