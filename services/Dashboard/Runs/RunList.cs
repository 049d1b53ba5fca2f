using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Runs;

/// <summary>Runs, newest first.</summary>
internal static class RunList
{
    private const int LargestPage = 1_000;

    /// <summary>Page by page, at most so many in all.</summary>
    public static async IAsyncEnumerable<IReadOnlyList<Run>> ReadAsync(
        SchedulerConnection schedulers, Func<CallOptions> call, int most)
    {
        var request = new ListRunsRequest { PageSize = Math.Min(100, most) };
        var count = 0;
        do
        {
            var page = await schedulers.Runs.ListRunsAsync(request, call());
            count += page.Runs.Count;
            yield return page.Runs;
            (request.PageToken, request.PageSize) = (page.NextPageToken, Math.Clamp(most - count, 1, LargestPage));
        }
        while (request.PageToken.Length > 0 && count < most);
    }
}
