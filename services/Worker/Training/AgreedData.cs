using System.Runtime.ExceptionServices;
using System.Text;
using System.Text.Unicode;
using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data;

namespace Cluster.Worker.Training;

/// <summary>The data set, of which every rank's node has the same copy: ranks that trained on different ones would not know it.</summary>
internal static partial class AgreedData
{
    // Of each rank's words; longer ones are cut.
    private const int WordBytes = 1024;

    private enum Fault : long
    {
        None,
        Lasting,
        Passing,
    }

    /// <summary>
    /// A call on every rank. A fault on one is told by all, so that none finds out by a collective call that nobody answers.
    /// </summary>
    /// <exception cref="DataSetException">It cannot be used, or the nodes' copies differ.</exception>
    /// <exception cref="JobMisconfiguredException">It is not what the job says.</exception>
    public static ImageDataSet Of(ListedData listed, TrainerContext context, ICollectiveGroup group)
    {
        var nodes = Words(group, context.Launch.NodeName, "data/nodes");
        RequireNoFault(group, listed.Fault, nodes);
        var data = listed.Data!;
        // Ranks of one node have read the same copy.
        if (nodes.Distinct(StringComparer.Ordinal).Count() > 1)
            RequireAlike(group, listed.Fingerprint!, nodes, context.Launch.Spec.Data.Name);
        var logger = context.LoggerFactory.CreateLogger(typeof(AgreedData));
        foreach (var note in group.Rank == 0 ? data.Notes : [])
            LogNote(logger, note);
        return data;
    }

    private static void RequireNoFault(ICollectiveGroup group, Exception? own, string[] nodes)
    {
        var faults = new Fault[group.WorldSize];
        var fault = own switch { null => Fault.None, DataUnavailableException => Fault.Passing, _ => Fault.Lasting };
        group.AllGather([fault], faults.AsSpan(), "data/faults");
        if (Array.TrueForAll(faults, one => one == Fault.None))
            return;
        var words = Words(group, own?.Message ?? "", "data/words");
        if (own is not null)
            ExceptionDispatchInfo.Throw(own);
        var faulty = Array.FindIndex(faults, one => one != Fault.None);
        var told = $"node {nodes[faulty]}: {words[faulty]}";
        throw faults[faulty] == Fault.Passing ? new DataUnavailableException(told) : new DataSetException(told);
    }

    private static void RequireAlike(ICollectiveGroup group, DataFingerprint own, string[] nodes, string name)
    {
        var (size, all) = (own.Values.Length, new long[own.Values.Length * group.WorldSize]);
        group.AllGather(own.Values, all.AsSpan(), "data/fingerprints");
        var other = Enumerable.Range(1, group.WorldSize - 1)
            .FirstOrDefault(rank => !all.AsSpan(rank * size, size).SequenceEqual(all.AsSpan(0, size)));
        if (other == 0)
            return;
        var ownCounts = own.ClassCounts();
        var (classes, counts) = (ownCounts.Length, new long[ownCounts.Length * group.WorldSize]);
        group.AllGather(ownCounts, counts.AsSpan(), "data/classes");
        var difference = own.Difference(
            all.AsSpan(0, size), all.AsSpan(other * size, size),
            counts.AsSpan(0, classes), counts.AsSpan(other * classes, classes), (nodes[0], nodes[other]));
        throw new DataSetException(
            $"the copies of {name} on the nodes {nodes[0]} and {nodes[other]} differ: {difference}. Make them equal");
    }

    /// <summary>Every rank's words, in rank order.</summary>
    private static string[] Words(ICollectiveGroup group, string own, string operation)
    {
        var (mine, all) = (new byte[WordBytes], new byte[WordBytes * group.WorldSize]);
        Utf8.FromUtf16(own, mine, out _, out _);
        group.AllGather<byte>(mine, all, operation);
        return
        [
            .. Enumerable.Range(0, group.WorldSize)
                .Select(rank => Encoding.UTF8.GetString(all.AsSpan(rank * WordBytes, WordBytes)).TrimEnd('\0')),
        ];
    }

    [LoggerMessage(LogLevel.Warning, "{Note}")]
    private static partial void LogNote(ILogger logger, string note);
}
