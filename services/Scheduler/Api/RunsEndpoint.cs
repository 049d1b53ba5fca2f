using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Runs, their series, checkpoints and predictions over gRPC.</summary>
internal sealed class RunsEndpoint(
    RunQueries queries, CheckpointQueries checkpoints, PredictionReader predictions, JobLookup lookup, JobWatch watch,
    WorkspaceRule workspaces)
    : RunService.RunServiceBase
{
    // Keeps a message well below the 4 MiB that clients accept by default.
    private const int PredictionsPerMessage = 4_000;

    public override async Task<ListRunsResponse> ListRuns(ListRunsRequest request, ServerCallContext context)
    {
        RequestText.Check("where", request.Where, longest: 2000);
        RequestText.Check("sort", request.Sort, longest: 200);
        var search = new RunSearch(request.Where, request.Sort, JobsEndpoint.PageSize(request.PageSize), request.PageToken)
        {
            Seen = workspaces.Seen(context),
        };
        var page = await JobsEndpoint.ListAsync(() => queries.ListAsync(search, context.CancellationToken));
        return new ListRunsResponse { Runs = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<GetRunResponse> GetRun(GetRunRequest request, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        return new GetRunResponse { Run = await queries.GetAsync(id, context.CancellationToken) ?? throw JobNotFoundException.For(id) };
    }

    public override async Task StreamMetrics(
        StreamMetricsRequest request, IServerStreamWriter<StreamMetricsResponse> responseStream, ServerCallContext context)
    {
        foreach (var name in request.Names)
            RequestText.Check("names", name, longest: 200);
        if (request.MaxPoints is not (0 or (>= Curve.FewestPoints and <= CurveStore.MostPoints)))
            throw new InvalidRequestException(
                $"max_points is {request.MaxPoints}; give {Curve.FewestPoints} to {CurveStore.MostPoints}, or 0 for all points");
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        var batches = watch.MetricsAsync(
            id, request.Names, request.AfterStep, request.MaxPoints, request.Follow, context.CancellationToken);
        await foreach (var points in batches)
        {
            foreach (var batch in points.InMessages())
            {
                await responseStream.WriteAsync(new StreamMetricsResponse { Points = { batch } }, context.CancellationToken);
            }
        }
    }

    public override async Task<ListCheckpointsResponse> ListCheckpoints(ListCheckpointsRequest request, ServerCallContext context)
    {
        var seen = workspaces.Seen(context);
        JobId? job = request.JobId.Length > 0 ? await lookup.FindAsync(request.JobId, seen, context.CancellationToken) : null;
        var size = JobsEndpoint.PageSize(request.Limit);
        var page = await JobsEndpoint.ListAsync(
            () => checkpoints.ListAsync(job, seen, size, request.PageToken, context.CancellationToken));
        return new ListCheckpointsResponse { Checkpoints = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task StreamPredictions(
        StreamPredictionsRequest request, IServerStreamWriter<StreamPredictionsResponse> responseStream, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        var message = new StreamPredictionsResponse();
        await foreach (var row in predictions.ReadAsync(id, context.CancellationToken))
        {
            message.Predictions.Add(row);
            if (message.Predictions.Count < PredictionsPerMessage)
                continue;
            await responseStream.WriteAsync(message, context.CancellationToken);
            message = new StreamPredictionsResponse();
        }

        if (message.Predictions.Count > 0)
            await responseStream.WriteAsync(message, context.CancellationToken);
    }
}
