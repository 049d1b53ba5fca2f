using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Files;
using Cluster.Dashboard.Hosting;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Runs;

/// <summary>The table of runs as a file for other programs: /runs.csv, with the page's filter.</summary>
internal static class RunsFile
{
    public static void MapRunsFile(this IEndpointRouteBuilder endpoints) => endpoints.MapGet("/runs.csv", WriteAsync);

    private static async Task<IResult> WriteAsync(
        string? q, HttpContext context, SchedulerConnection schedulers, IOptions<DashboardOptions> options)
    {
        var filter = RunFilter.Parse(q ?? "");
        if (filter.Fault is { } fault)
            return Results.Problem(fault, statusCode: StatusCodes.Status400BadRequest);
        var token = Caller.TokenOf(context.User);
        try
        {
            context.Response.ContentType = "text/csv; charset=utf-8";
            context.Response.Headers.ContentDisposition = "attachment; filename=\"runs.csv\"";
            await context.Response.WriteAsync(Csv.Line(RunColumns.All.Select(column => column.Key)), context.RequestAborted);
            var pages = RunList.ReadAsync(
                schedulers, () => SchedulerConnection.Call(token, context.RequestAborted), options.Value.NewestJobs);
            await foreach (var page in pages)
            {
                foreach (var run in page.Where(filter.Matches))
                    await context.Response.WriteAsync(Csv.Line(RunColumns.All.Select(column => column.Raw(run))), context.RequestAborted);
            }
        }
        catch (RpcException) when (context.Response.HasStarted)
        {
            // A table that ends early must not look whole.
            context.Abort();
        }
        catch (RpcException away)
        {
            context.Response.Clear();
            return Results.Problem(CallFault.Explain(away), statusCode: CallFault.HttpStatus(away));
        }

        return Results.Empty;
    }
}
