using System.Globalization;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Dashboard.Layout;

/// <summary>Points in time as the visitor's own clock shows them, which is told once the browser has said how far it is from UTC.</summary>
public sealed class BrowserClock
{
    public TimeSpan FromUtc { get; set; }

    public string Show(DateTimeOffset? time) =>
        time?.ToOffset(FromUtc).ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) ?? "";

    public string Show(Timestamp? time) => Show(time?.ToDateTimeOffset());
}
