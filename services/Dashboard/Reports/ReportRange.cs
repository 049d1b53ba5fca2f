using Cluster.Contracts.V1;
using Cluster.Dashboard.Layout;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Dashboard.Reports;

/// <summary>Over how many days a report may be.</summary>
internal static class ReportRange
{
    private const int Usual = 7;

    public static IReadOnlyList<int> Days { get; } = [1, 7, 30, 90, 365];

    /// <summary>The address's <c>days</c>.</summary>
    public static int Read(string? text, AddressReader address)
    {
        if (string.IsNullOrEmpty(text))
            return Usual;
        var days = address.Whole("days", text, Days[0], Days[^1]);
        if (days is { } known && !Days.Contains(known))
            address.Tell("days", text, $"one of {string.Join(", ", Days)}");
        return days is { } asked && Days.Contains(asked) ? asked : Usual;
    }

    public static GetDeviceHoursRequest Request(int days, TimeProvider time) =>
        new() { Begin = (time.GetUtcNow() - TimeSpan.FromDays(days)).ToTimestamp() };
}
