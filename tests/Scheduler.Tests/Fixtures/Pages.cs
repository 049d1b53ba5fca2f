using Google.Protobuf;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>Lists of any length, read as a client reads them.</summary>
internal static class Pages
{
    /// <summary>Clients take 4 MiB by default.</summary>
    public const int LargestMessage = 3 << 20;

    /// <summary>What is on all pages, none of which is too large, and none empty.</summary>
    public static async Task<List<TEntry>> AllAsync<TPage, TEntry>(
        Func<string, Task<TPage>> page, Func<TPage, (IEnumerable<TEntry> Entries, string NextPageToken)> read)
        where TPage : IMessage
    {
        var all = new List<TEntry>();
        var token = "";
        do
        {
            var answer = await page(token);
            answer.CalculateSize().ShouldBeLessThan(LargestMessage);
            var (entries, next) = read(answer);
            entries.ShouldNotBeEmpty();
            all.AddRange(entries);
            token = next;
        }
        while (token.Length > 0);

        return all;
    }
}
