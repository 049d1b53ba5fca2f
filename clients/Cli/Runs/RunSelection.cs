using System.CommandLine;
using Cluster.Cli.Jobs;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Runs;

/// <summary>Which runs a verb is about: those of a condition, in an order.</summary>
/// <param name="usual">At most so many where nobody says how many; null: all, since a file that lacks some would not show it.</param>
internal sealed class RunSelection(int? usual)
{
    private const int LargestPage = 1000;

    private readonly Option<string?> _where = new("--where")
    {
        Description = "only runs that meet a condition over settings and figures, such as "
            + "\"lr > 0.01 and model = 'alexnet'\"; docs/runs.md has all of it",
        HelpName = "CONDITION",
    };

    private readonly Option<string?> _sort = new("--sort")
    {
        Description = "by a setting or figure, such as accuracy, or \"lr desc\": without asc or desc the best come first",
        HelpName = "COLUMN",
    };

    private readonly Option<int?> _limit = LimitOption.Make("runs", usual);

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _where, _sort, _limit })
            command.Options.Add(option);
    }

    /// <summary>Whether any but the newest runs are meant.</summary>
    public bool IsGiven(VerbContext context) =>
        context.Arguments.GetValue(_where) is not null || context.Arguments.GetValue(_sort) is not null;

    public async Task<ListRunsResponse> ListAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var (all, limit) = (new ListRunsResponse(), LimitOption.Of(context, _limit));
        do
        {
            var request = new ListRunsRequest
            {
                Where = context.Arguments.GetValue(_where) ?? "",
                Sort = context.Arguments.GetValue(_sort) ?? "",
                PageSize = Math.Min(limit - all.Runs.Count, LargestPage),
                PageToken = all.NextPageToken,
            };
            var page = await context.Connection.Runs.ListRunsAsync(request, context.Connection.Call(cancellationToken));
            all.Runs.AddRange(page.Runs);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0 && all.Runs.Count < limit);

        return all;
    }
}
