using System.ComponentModel.DataAnnotations;

namespace Cluster.Worker.Data.Indexing;

/// <summary>What a node keeps of its listings of data sets. In the agent's environment, which trainers inherit:
/// <c>DataIndex__MaxBytes=268435456</c>.</summary>
public sealed class DataIndexOptions
{
    public const string SectionName = "DataIndex";

    /// <summary>Data sets of which a listing is kept; that which was used least recently goes. 0: every rank lists for itself, each
    /// time.</summary>
    [Range(0, 10_000)]
    public int MaxDataSets { get; set; } = 64;

    /// <summary>
    /// That all listings take together, and so at most a single one. A file takes its name and three bytes, a sample in a shard some ten
    /// bytes:
    /// ImageNet's 1.28 million take 32 MB.
    /// </summary>
    [Range(64 * 1024, 1L << 40)]
    public long MaxBytes { get; set; } = 1L << 30;

    /// <summary>
    /// A folder that was changed so shortly before it was listed is listed again by the next who wants it: a further change may have got
    /// the
    /// same time. Clocks of file systems are as coarse as 2 s, and a server's clock may differ from the node's.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:03", "1.00:00:00")]
    public TimeSpan SettleTime { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// A rank that waits for another one of its node to list lists for itself once that one has got no further for so long: it may be
    /// stopped, or hang in
    /// a driver. Long enough for a single large folder on a slow file system.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(30);
}
