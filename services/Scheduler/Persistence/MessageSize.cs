using Google.Protobuf;

namespace Cluster.Scheduler.Persistence;

/// <summary>How much goes into one message. Clients accept 4 MiB by default, whatever the entries' number and lengths.</summary>
public static class MessageSize
{
    /// <summary>
    /// A quarter of what clients accept: there is room for what comes beside the entries, and for one that is large by itself.
    /// </summary>
    public const int Bytes = 1 << 20;

    /// <summary>The entries in batches for a message each; one that is larger than a batch is one by itself.</summary>
    public static IEnumerable<IReadOnlyList<T>> InMessages<T>(this IEnumerable<T> entries)
        where T : IMessage
    {
        var batch = new List<T>();
        var bytes = 0;
        foreach (var entry in entries)
        {
            var entryBytes = Of(entry);
            if (batch.Count > 0 && bytes + entryBytes > Bytes)
            {
                yield return batch;
                batch = [];
                bytes = 0;
            }

            batch.Add(entry);
            bytes += entryBytes;
        }

        if (batch.Count > 0)
            yield return batch;
    }

    /// <summary>An entry with its tag and length.</summary>
    public static int Of(IMessage entry) => entry.CalculateSize() + 6;
}
