using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Files;
using Cluster.Dashboard.Hosting;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Runs;

/// <summary>The table of runs as a file for other programs: /runs.csv, with the page's condition and a column for every setting.</summary>
internal static class RunsFile
{
    public static void MapRunsFile(this IEndpointRouteBuilder endpoints) => endpoints.MapGet("/runs.csv", WriteAsync);

    private static async Task<IResult> WriteAsync(
        string? q, HttpContext context, SchedulerConnection schedulers, IOptions<DashboardOptions> options)
    {
        var token = Caller.TokenOf(context.User);
        var table = new RunTable();
        try
        {
            // All of them before the first line: which columns there are is known only then, and a file that ends early would look whole.
            var pages = RunList.ReadAsync(
                schedulers, () => SchedulerConnection.Call(token, context.RequestAborted), q ?? "", options.Value.NewestJobs);
            await foreach (var page in pages)
                table.Add(page.Runs);
        }
        catch (RpcException fault)
        {
            return Results.Problem(
                CallFault.Explain(fault),
                statusCode: fault.StatusCode == StatusCode.InvalidArgument ? StatusCodes.Status400BadRequest : CallFault.HttpStatus(fault));
        }

        context.Response.ContentType = "text/csv; charset=utf-8";
        context.Response.Headers.ContentDisposition = "attachment; filename=\"runs.csv\"";
        await context.Response.WriteAsync(Csv.Line(table.Columns.Select(column => column.Key)), context.RequestAborted);
        foreach (var run in table.Runs)
            await context.Response.WriteAsync(Csv.Line(table.Columns.Select(column => column.Raw(run))), context.RequestAborted);
        return Results.Empty;
    }
}
