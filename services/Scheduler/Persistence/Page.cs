using Google.Protobuf;

namespace Cluster.Scheduler.Persistence;

/// <summary>A part of a list, bounded in entries and in bytes, so that it is a message whatever the entries' lengths.</summary>
/// <param name="NextPageToken">Empty on the last page.</param>
public sealed record Page<T>(IReadOnlyList<T> Entries, string NextPageToken);

/// <summary>Fills a page from the database.</summary>
internal static class Page
{
    // Rows are read a few at a time: how many fit is known only once they are there.
    private const int RowsAtOnce = 100;

    /// <param name="pageSize">At most so many entries. At least one is given, however large.</param>
    /// <param name="pageToken">Empty: from the beginning.</param>
    /// <param name="readAsync">So many rows that follow a token.</param>
    /// <param name="describeAsync">What the rows are as messages, in their order.</param>
    /// <param name="tokenOf">The token that a row is followed by.</param>
    public static async Task<Page<T>> FillAsync<TRow, T>(
        int pageSize, string pageToken, Func<string, int, Task<List<TRow>>> readAsync, Func<List<TRow>, Task<List<T>>> describeAsync,
        Func<TRow, string> tokenOf)
        where T : IMessage
    {
        var (entries, bytes, token) = (new List<T>(), 0, pageToken);
        while (true)
        {
            // One more than are wanted: it tells that there is a next page.
            var wanted = Math.Min(pageSize - entries.Count + 1, RowsAtOnce);
            var rows = await readAsync(token, wanted);
            foreach (var (row, entry) in rows.Zip(await describeAsync(rows)))
            {
                var entryBytes = MessageSize.Of(entry);
                if (entries.Count == pageSize || (entries.Count > 0 && bytes + entryBytes > MessageSize.Bytes))
                    return new Page<T>(entries, token);
                entries.Add(entry);
                (bytes, token) = (bytes + entryBytes, tokenOf(row));
            }

            if (rows.Count < wanted)
                return new Page<T>(entries, "");
        }
    }
}
