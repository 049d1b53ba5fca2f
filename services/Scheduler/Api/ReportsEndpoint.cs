using Cluster.Contracts.V1;
using Cluster.Scheduler.Reports;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Reports over gRPC.</summary>
internal sealed class ReportsEndpoint(DeviceHoursReport deviceHours, WorkspaceRule workspaces, TimeProvider time)
    : ReportService.ReportServiceBase
{
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(366);

    public override Task<GetDeviceHoursResponse> GetDeviceHours(GetDeviceHoursRequest request, ServerCallContext context)
    {
        var now = time.GetUtcNow();
        var end = Read("end", request.End) is { } asked && asked < now ? asked : now;
        var begin = Read("begin", request.Begin) ?? end - Week;
        if (begin >= end)
            throw new InvalidRequestException($"begin is {begin:u} but end is {end:u}; give a begin before the end, and before now");
        if (end - begin > Longest)
            throw new InvalidRequestException($"begin is {begin:u} and end is {end:u}; give a range of {Longest.TotalDays} days at most");
        return deviceHours.ReadAsync(begin, end, workspaces.Seen(context), context.CancellationToken);
    }

    private static DateTimeOffset? Read(string field, Timestamp? value)
    {
        try
        {
            return value?.ToDateTimeOffset();
        }
        catch (Exception fault) when (fault is InvalidOperationException or ArgumentOutOfRangeException)
        {
            throw new InvalidRequestException($"{field} is {value}, which is no time; give one between the years 1 and 9999");
        }
    }
}
