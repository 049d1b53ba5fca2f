using System.Globalization;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Checkpoints;

/// <summary>A checkpoint's weights as a file to be kept.</summary>
internal static class WeightsFile
{
    private const int MostLookedAt = 100;

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
            var weights = found.Manifest.Files.Where(file => CheckpointLayout.HoldsWeights(file.Name)).ToList();
            if (weights is not [var file])
            {
                return Results.Problem(
                    $"the weights lie in {weights.Count} files, one a rank; ./cluster checkpoint download {id} puts them together",
                    statusCode: StatusCodes.Status409Conflict);
            }

            await SendAsync(found.Checkpoint, file, context, schedulers, token);
            return Results.Empty;
        }
        catch (RpcException fault) when (!context.Response.HasStarted)
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

    private static async Task SendAsync(
        Checkpoint checkpoint, CheckpointFile file, HttpContext context, SchedulerConnection schedulers, string token)
    {
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = file.Bytes;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"checkpoint-{checkpoint.Id}.safetensors\"";
        var request = new DownloadFileRequest { CheckpointId = checkpoint.Id, File = file.Name };
        using var call = schedulers.Checkpoints.DownloadFile(request, SchedulerConnection.Stream(token, context.RequestAborted));
        // A stream that breaks leaves the answer shorter than it said it would be, by which the browser sees that it is none.
        await foreach (var part in call.ResponseStream.ReadAllAsync(context.RequestAborted))
            await context.Response.Body.WriteAsync(part.Data.Memory, context.RequestAborted);
    }
}
