using System.Globalization;
using System.Text;

namespace Cluster.Scheduler.Persistence;

/// <summary>
/// Where a page of a list ends: what its last entry is sorted by, and its id, so that what is added or taken away meanwhile moves nothing.
/// </summary>
internal static class PageToken
{
    /// <summary>Of a list sorted by time.</summary>
    public static string Write(DateTimeOffset createdAt, Guid id) =>
        string.Create(CultureInfo.InvariantCulture, $"{createdAt.UtcTicks:x}.{id:N}");

    /// <summary>Of a list sorted by step and time.</summary>
    public static string Write(long step, DateTimeOffset createdAt, Guid id) =>
        string.Create(CultureInfo.InvariantCulture, $"{step:x}.{createdAt.UtcTicks:x}.{id:N}");

    /// <summary>Of a list sorted by name.</summary>
    public static string Write(string name, Guid id) => $"n{Convert.ToHexStringLower(Encoding.UTF8.GetBytes(name))}.{id:N}";

    /// <summary>Of a list sorted by a key that not every entry has, and then by time.</summary>
    public static string Write(string? key, DateTimeOffset createdAt, Guid id) =>
        $"{(key is null ? "-" : $"k{Convert.ToHexStringLower(Encoding.UTF8.GetBytes(key))}")}.{Write(createdAt, id)}";

    /// <summary>Of a list sorted by a number that each entry has alone.</summary>
    public static string Write(long sequence) => $"s{sequence.ToString(CultureInfo.InvariantCulture)}";

    /// <exception cref="FormatException">The token is not one that a list sorted by such a number returned.</exception>
    public static long ReadSequence(string token) =>
        token is ['s', .. var digits] && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            ? sequence
            : throw Unknown(token);

    /// <exception cref="FormatException">The token is not one that a list sorted by time returned.</exception>
    public static (DateTimeOffset CreatedAt, Guid Id) Read(string token) =>
        token.Split('.') is [var time, var id] && TryTime(time, out var createdAt) && Guid.TryParseExact(id, "N", out var last)
            ? (createdAt, last)
            : throw Unknown(token);

    /// <exception cref="FormatException">The token is not one that a list sorted by step and time returned.</exception>
    public static (long Step, DateTimeOffset CreatedAt, Guid Id) ReadStep(string token) =>
        token.Split('.') is [var number, var time, var id]
            && long.TryParse(number, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var step)
            && TryTime(time, out var createdAt) && Guid.TryParseExact(id, "N", out var last)
                ? (step, createdAt, last)
                : throw Unknown(token);

    /// <exception cref="FormatException">The token is not one that a list sorted by name returned.</exception>
    public static (string Name, Guid Id) ReadName(string token) =>
        token.Split('.') is [['n', .. var name], var id] && Guid.TryParseExact(id, "N", out var last) && TryName(name, out var text)
            ? (text, last)
            : throw Unknown(token);

    /// <exception cref="FormatException">The token is not one that a list sorted by a key returned.</exception>
    public static (string? Key, DateTimeOffset CreatedAt, Guid Id) ReadKey(string token)
    {
        if (token.Split('.') is not [var key, var time, var last] || !TryTime(time, out var createdAt)
            || !Guid.TryParseExact(last, "N", out var id))
            throw Unknown(token);
        return key switch
        {
            "-" => (null, createdAt, id),
            ['k', .. var hex] when TryName(hex, out var text) => (text, createdAt, id),
            _ => throw Unknown(token),
        };
    }

    /// <returns>To be thrown.</returns>
    public static FormatException Unknown(string token) =>
        new($"page_token is '{token}', which no such list returned; start again without one");

    private static bool TryTime(string text, out DateTimeOffset time)
    {
        var isTime = long.TryParse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var ticks)
            && ticks >= 0 && ticks <= DateTimeOffset.MaxValue.Ticks;
        time = isTime ? new DateTimeOffset(ticks, TimeSpan.Zero) : default;
        return isTime;
    }

    private static bool TryName(string hex, out string name)
    {
        var bytes = new byte[hex.Length / 2];
        var isHex = Convert.FromHexString(hex, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
        name = isHex ? Encoding.UTF8.GetString(bytes) : "";
        // Postgres cannot hold a NUL, so that no name has one.
        return isHex && !name.Contains('\0');
    }
}
