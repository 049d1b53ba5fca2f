using System.Globalization;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Checkpoints;

/// <summary>A checkpoint's weights as one file to be kept, whatever split wrote them; a few chunks at a time are in memory.</summary>
internal static class WeightsFile
{
    private const int MostLookedAt = 100;
    private const int BufferBytes = 1 << 16;

    public static void MapWeights(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/checkpoints/{id}/weights", WriteAsync);
        endpoints.MapGet("/jobs/{id}/weights", FindAsync);
    }

    private static async Task<IResult> WriteAsync(string id, HttpContext context, SchedulerConnection schedulers)
    {
        var token = Caller.TokenOf(context.User);
        try
        {
            var found = await schedulers.Checkpoints.DescribeCheckpointAsync(
                new DescribeCheckpointRequest { CheckpointId = id }, SchedulerConnection.Call(token, context.RequestAborted));
            var stream = new CheckpointStream(
                schedulers.Checkpoints, found.Checkpoint.Id, cancellationToken => SchedulerConnection.Stream(token, cancellationToken));
            var merged = await MergedWeights.PlanAsync(stream, found.Manifest, CheckpointLayout.HoldsWeights, context.RequestAborted);
            if (!merged.IsInOrder)
            {
                // Only a disk could put these together.
                return Results.Problem(
                    $"the weights lie in an order that cannot be sent as it comes; ./cluster checkpoint download {id} puts them together",
                    statusCode: StatusCodes.Status409Conflict);
            }

            await SendAsync(found.Checkpoint, merged, context);
            return Results.Empty;
        }
        catch (InvalidDataException fault) when (!context.Response.HasStarted)
        {
            return Results.Problem($"checkpoint {id}: {fault.Message}", statusCode: StatusCodes.Status500InternalServerError);
        }
        catch (Exception fault) when (context.Response.HasStarted && fault is InvalidDataException or RpcException)
        {
            // Shorter than it said it would be, by which the browser sees that it is no file.
            context.Abort();
            return Results.Empty;
        }
        catch (RpcException fault)
        {
            return Results.Problem(CallFault.Explain(fault), statusCode: CallFault.HttpStatus(fault));
        }
    }

    /// <summary>A job's weights as of an epoch; the newest where none is given.</summary>
    private static async Task<IResult> FindAsync(string id, string? epoch, HttpContext context, SchedulerConnection schedulers)
    {
        try
        {
            var listed = await schedulers.Runs.ListCheckpointsAsync(
                new ListCheckpointsRequest { JobId = id, Limit = MostLookedAt },
                SchedulerConnection.Call(Caller.TokenOf(context.User), context.RequestAborted));
            var checkpoint = listed.Checkpoints
                .FirstOrDefault(one => epoch is null || one.Epoch.ToString(CultureInfo.InvariantCulture) == epoch);
            return checkpoint is null
                ? Results.Problem(
                    listed.Checkpoints.Count == 0 ? "the job has no checkpoint"
                        : $"the weights of epoch {epoch} are not kept; /jobs/{id}/weights has those of epoch {listed.Checkpoints[0].Epoch}",
                    statusCode: StatusCodes.Status404NotFound)
                : Results.LocalRedirect($"/checkpoints/{checkpoint.Id}/weights");
        }
        catch (RpcException fault)
        {
            return Results.Problem(CallFault.Explain(fault), statusCode: CallFault.HttpStatus(fault));
        }
    }

    private static async Task SendAsync(Checkpoint checkpoint, MergedWeights merged, HttpContext context)
    {
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = merged.Bytes;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"checkpoint-{checkpoint.Id}.safetensors\"";
        // The rows of a split tensor come in pieces of a few bytes.
        await using var body = new BufferedStream(context.Response.Body, BufferBytes);
        await merged.WriteAsync(body, context.RequestAborted);
    }
}
