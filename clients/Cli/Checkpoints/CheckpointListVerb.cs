using System.CommandLine;
using Cluster.Cli.Jobs;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Checkpoints;

/// <summary>checkpoint list [JOB]: newest first.</summary>
internal static class CheckpointListVerb
{
    private const int LargestPage = 1000;

    public static Command Build(VerbFactory verbs)
    {
        var job = new Argument<string?>("JOB")
        {
            Description = "only this job's; without it those of all jobs, and imported ones",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var limit = LimitOption.Make("checkpoints", LimitOption.Usual);
        var command = verbs.Table(
            "list", "List checkpoints, the newest first.",
            (context, cancellationToken) => ListAsync(
                context, context.Arguments.GetValue(job) ?? "", LimitOption.Of(context, limit), cancellationToken),
            (_, listed) => Table(listed.Checkpoints), listed => listed.NextPageToken);
        command.Arguments.Add(job);
        command.Options.Add(limit);
        return command;
    }

    private static async Task<ListCheckpointsResponse> ListAsync(
        VerbContext context, string job, int limit, CancellationToken cancellationToken)
    {
        var all = new ListCheckpointsResponse();
        do
        {
            var request = new ListCheckpointsRequest
            {
                JobId = job,
                Limit = Math.Min(limit - all.Checkpoints.Count, LargestPage),
                PageToken = all.NextPageToken,
            };
            var page = await context.Connection.Runs.ListCheckpointsAsync(request, context.Connection.Call(cancellationToken));
            all.Checkpoints.AddRange(page.Checkpoints);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0 && all.Checkpoints.Count < limit);

        return all;
    }

    private static ColumnTable Table(IEnumerable<Checkpoint> checkpoints)
    {
        var table = new ColumnTable("CHECKPOINT", "JOB", "SOURCE", "MODEL", "STEP", "EPOCH", "MIB", "VALIDATION", "OWNER", "TIME");
        foreach (var stored in checkpoints)
        {
            // Whole: these ids begin with the time, so that the first digits of two are alike.
            table.Add(
                stored.Id, stored.JobId.Length > 0 ? Words.Short(stored.JobId) : "imported", stored.Source, stored.Model.Name,
                $"{stored.Step}", $"{stored.Epoch}",
                $"{stored.Bytes / 1048576.0:F1}", stored.HasValidationAccuracy ? Words.Percent(stored.ValidationAccuracy) : "",
                stored.Owner, Words.Clock(stored.CreatedAt));
        }

        return table;
    }
}
