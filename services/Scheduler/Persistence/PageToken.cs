using System.Globalization;

namespace Cluster.Scheduler.Persistence;

/// <summary>Where a page of a list, newest first, ends: the last entry's time and id, so that what is added meanwhile moves nothing.</summary>
internal static class PageToken
{
    public static string Write(DateTimeOffset createdAt, Guid id) => string.Create(CultureInfo.InvariantCulture, $"{createdAt.UtcTicks:x}.{id:N}");

    /// <exception cref="FormatException">The token is not one that <see cref="Write"/> made.</exception>
    public static (DateTimeOffset CreatedAt, Guid Id) Read(string token)
    {
        var parts = token.Split('.');
        return parts.Length == 2
            && long.TryParse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var ticks)
            && ticks >= 0 && ticks <= DateTimeOffset.MaxValue.Ticks
            && Guid.TryParseExact(parts[1], "N", out var id)
                ? (new DateTimeOffset(ticks, TimeSpan.Zero), id)
                : throw new FormatException($"page_token is '{token}', which no list call returned; start again without one");
    }
}
