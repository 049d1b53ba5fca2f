using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Files;
using Cluster.Dashboard.Layout;
using Cluster.Dashboard.Nodes;
using Grpc.Core;

namespace Cluster.Dashboard.Reports;

/// <summary>The report as a file for other programs: /reports.csv, over the page's range, by all that it can be summed by.</summary>
internal static class ReportFile
{
    private static readonly string[] Columns = ["owner", "queue", "state", "kind", "jobs", "usedHours", "lostHours"];

    public static void MapReportFile(this IEndpointRouteBuilder endpoints) => endpoints.MapGet("/reports.csv", WriteAsync);

    private static async Task<IResult> WriteAsync(string? days, HttpContext context, SchedulerConnection schedulers, TimeProvider time)
    {
        var address = new AddressReader();
        var range = ReportRange.Read(days, address);
        if (address.Faults.Count > 0)
            return Results.Problem(address.Faults[0], statusCode: StatusCodes.Status400BadRequest);
        try
        {
            var report = await schedulers.Reports.GetDeviceHoursAsync(
                ReportRange.Request(range, time), SchedulerConnection.Call(Caller.TokenOf(context.User), context.RequestAborted));
            var name = report.Cut ? "device-hours-largest" : "device-hours";
            return Results.File(
                System.Text.Encoding.UTF8.GetBytes(Csv.Line(Columns) + string.Concat(report.Rows.Select(Line))),
                "text/csv; charset=utf-8", $"{name}-{range}-days.csv");
        }
        catch (RpcException fault)
        {
            return Results.Problem(CallFault.Explain(fault), statusCode: CallFault.HttpStatus(fault));
        }
    }

    private static string Line(DeviceHours row) => Csv.Line(
    [
        row.Owner, row.Queue, row.State.Word(), KindNames.Of(row.Kind), row.Jobs.ToString(CultureInfo.InvariantCulture),
        row.UsedHours.ToString("R", CultureInfo.InvariantCulture), row.LostHours.ToString("R", CultureInfo.InvariantCulture),
    ]);
}
