using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Runs;

/// <summary>Runs that meet a condition, newest first.</summary>
internal static class RunList
{
    private const int LargestPage = 1_000;

    // The first rows are there at once, however many there are in all.
    private const int FirstPage = 100;

    /// <summary>Page by page, at most so many runs in all: of the last page the token says whether there are more.</summary>
    /// <param name="where">As <see cref="ListRunsRequest.Where"/>; empty: all.</param>
    public static async IAsyncEnumerable<ListRunsResponse> ReadAsync(
        SchedulerConnection schedulers, Func<CallOptions> call, string where, int most)
    {
        var request = new ListRunsRequest { Where = where, PageSize = Math.Min(FirstPage, most) };
        var count = 0;
        do
        {
            var page = await schedulers.Runs.ListRunsAsync(request, call());
            count += page.Runs.Count;
            yield return page;
            (request.PageToken, request.PageSize) = (page.NextPageToken, Math.Clamp(most - count, 1, LargestPage));
        }
        while (request.PageToken.Length > 0 && count < most);
    }
}
