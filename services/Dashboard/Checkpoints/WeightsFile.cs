using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Checkpoints;

/// <summary>A checkpoint's weights as a file to be kept.</summary>
internal static class WeightsFile
{
    public static void MapWeights(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGet("/checkpoints/{id}/weights", async (string id, HttpContext context, SchedulerConnection schedulers) =>
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
                return Results.Problem(CallFault.Explain(fault), statusCode: HttpStatus(fault));
            }
        });

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

    private static int HttpStatus(RpcException fault) => fault.StatusCode switch
    {
        StatusCode.NotFound or StatusCode.InvalidArgument => StatusCodes.Status404NotFound,
        StatusCode.Unauthenticated or StatusCode.PermissionDenied => StatusCodes.Status403Forbidden,
        _ => StatusCodes.Status503ServiceUnavailable,
    };
}
