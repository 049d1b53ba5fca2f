using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job list: newest first.</summary>
internal static class ListVerb
{
    private const int LargestPage = 1000;

    public static Command Build(VerbFactory verbs)
    {
        var states = new Option<string[]>("--state")
        {
            Description = "only jobs in this state; may be given again",
            HelpName = "STATE",
        };
        states.AcceptOnlyFromAmong(
            [.. Enum.GetValues<JobState>().Where(state => state != JobState.Unspecified).Select(state => state.Word())]);
        var workspace = new Option<string?>("--workspace") { Description = "only jobs of this workspace", HelpName = "NAME" };
        var experiment = new Option<string?>("--experiment") { Description = "only jobs of this experiment", HelpName = "ID" };
        var queue = new Option<string?>("--queue") { Description = "only jobs of this queue", HelpName = "NAME" };
        var limit = LimitOption.Make("jobs", LimitOption.Usual);
        var command = verbs.Table("list", "List jobs, the newest first.", (context, cancellationToken) =>
        {
            var request = new ListJobsRequest
            {
                Workspace = context.Arguments.GetValue(workspace) ?? "",
                ExperimentId = context.Arguments.GetValue(experiment) ?? "",
                Queue = context.Arguments.GetValue(queue) ?? "",
            };
            request.States.AddRange(
                (context.Arguments.GetValue(states) ?? []).Select(word => Enum.Parse<JobState>(word, ignoreCase: true)));
            return ListAsync(context, request, LimitOption.Of(context, limit), cancellationToken);
        }, (context, listed) => Table(listed.Jobs, context.Host.Time), listed => listed.NextPageToken);
        foreach (var option in new Option[] { states, workspace, experiment, queue, limit })
            command.Options.Add(option);
        return command;
    }

    /// <param name="limit">At most so many.</param>
    public static async Task<ListJobsResponse> ListAsync(
        VerbContext context, ListJobsRequest request, int limit, CancellationToken cancellationToken)
    {
        var all = new ListJobsResponse();
        do
        {
            request.PageSize = Math.Min(limit - all.Jobs.Count, LargestPage);
            var page = await context.Connection.Jobs.ListJobsAsync(request, context.Connection.Call(cancellationToken));
            all.Jobs.AddRange(page.Jobs);
            request.PageToken = all.NextPageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0 && all.Jobs.Count < limit);

        return all;
    }

    private static ColumnTable Table(IEnumerable<Job> jobs, TimeProvider time)
    {
        var table = new ColumnTable("JOB", "NAME", "MODEL", "STATE", "EPOCH", "ACCURACY", "DEVICES", "PRIORITY", "TIME", "CODE", "REASON");
        foreach (var job in jobs)
        {
            table.Add(
                Words.Short(job.Id), job.Spec.Name, job.Spec.Model.Name, job.State.Word(),
                job.Progress is { Epochs: > 0 } progress ? Words.Epoch(progress) : "",
                Accuracy(job.Progress), $"{job.Spec.Resources.Devices}", $"{job.Priority}",
                Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran ? Words.Length(ran) : "",
                job.ReasonCode, Reason(job));
        }

        return table;
    }

    private static string Reason(Job job) => job.Queue?.EstimatedStart is { } start
        ? $"starts about {Words.Clock(start)}: {job.Reason}" : job.Reason;

    // The newest figure on data that was not trained on.
    private static string Accuracy(Progress? progress) => progress switch
    {
        { HasTestAccuracy: true } => Words.Percent(progress.TestAccuracy),
        { HasValidationAccuracy: true } => Words.Percent(progress.ValidationAccuracy),
        _ => "",
    };
}

/// <summary>--limit of lists.</summary>
internal static class LimitOption
{
    /// <summary>Of what a person looks through.</summary>
    public const int Usual = 100;

    /// <param name="usual">Where nobody says how many; null: all.</param>
    public static Option<int?> Make(string what, int? usual)
    {
        var option = new Option<int?>("--limit")
        {
            Description = $"at most so many {what}{(usual is null ? " (otherwise all)" : "")}",
            HelpName = "N",
        };
        if (usual is not null)
            option.DefaultValueFactory = _ => usual;
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out var limit) && limit < 1)
                result.AddError($"--limit is {limit} but must be at least 1; use a number such as 100");
        });
        return option;
    }

    public static int Of(VerbContext context, Option<int?> limit) => context.Arguments.GetValue(limit) ?? int.MaxValue;
}
