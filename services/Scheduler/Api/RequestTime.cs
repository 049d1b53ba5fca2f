using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Api;

/// <summary>Times that a caller made up.</summary>
internal static class RequestTime
{
    // 0001-01-01 to 9999-12-31, as timestamp.proto has them.
    private const long FirstSecond = -62_135_596_800, LastSecond = 253_402_300_799;
    private const int NanosASecond = 1_000_000_000;

    /// <exception cref="InvalidRequestException">It is none that timestamp.proto allows.</exception>
    public static void Check(string field, Timestamp? time)
    {
        if (time is { Seconds: < FirstSecond or > LastSecond } or { Nanos: < 0 or >= NanosASecond })
            throw new InvalidRequestException(
                $"{field} is {time.Seconds} s and {time.Nanos} ns after 1970; give a time from the years 1 to 9999, and 0 to 999999999 ns");
    }
}
