using Cluster.Worker.Training;

namespace Cluster.Worker.Data.Loading;

/// <summary>The limit on pictures that cannot be read.</summary>
internal static class BrokenPictures
{
    /// <param name="broken">In one pass over a part.</param>
    /// <param name="limit">The job's.</param>
    /// <param name="last">Names the last one and says what is wrong with it.</param>
    public static JobMisconfiguredException TooMany(long broken, int limit, string last) => new(
        $"{last}; data.maxBrokenImages is {limit} and {broken} {(broken == 1 ? "picture is" : "pictures are")} broken: "
            + "replace them on every node that has the data, or raise it to leave them out");
}
