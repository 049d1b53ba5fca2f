using System.CommandLine;
using System.Text;
using Cluster.Cli.Jobs;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Experiments;

/// <summary>
/// experiment list|describe|watch|cancel|pause|resume|limit|best. An experiment is submitted as any job file is: job submit FILE.
/// </summary>
internal static class ExperimentVerbs
{
    private const int LargestPage = 1000;

    public static Command Build(VerbFactory verbs) =>
        new("experiment", "groups of jobs that differ in what is compared; submit one with job submit")
        {
            BuildList(verbs), BuildDescribe(verbs), BuildWatch(verbs), BuildCancel(verbs), SearchVerbs.BuildPause(verbs, Argument()),
            SearchVerbs.BuildResume(verbs, Argument()), SearchVerbs.BuildLimit(verbs, Argument()), BestVerb.Build(verbs, Argument()),
        };

    private static Argument<string> Argument() => PrefixArgument.Make("EXPERIMENT", "an experiment", "./cluster experiment list");

    private static Command BuildList(VerbFactory verbs)
    {
        var limit = LimitOption.Make("experiments", LimitOption.Usual);
        var command = verbs.Table(
            "list", "List experiments, the newest first.",
            (context, cancellationToken) => ListAsync(context, LimitOption.Of(context, limit), cancellationToken),
            (_, listed) => Table(listed.Experiments), listed => listed.NextPageToken);
        command.Options.Add(limit);
        return command;
    }

    private static Command BuildDescribe(VerbFactory verbs)
    {
        var id = Argument();
        var markdown = new Option<bool>("--markdown") { Description = "print the table alone, for a document" };
        var reach = new Option<string?>("--reach")
        {
            Description = "add when each job first got so far, by the mean of an epoch, such as train/accuracy=0.75",
            HelpName = "SERIES=VALUE",
        };
        var command = verbs.Verb("describe", "Show an experiment's jobs side by side, and the file that it was submitted as.",
            async (context, cancellationToken) =>
            {
                if (context.Json && (context.Arguments.GetValue(markdown) || context.Arguments.GetValue(reach) is not null))
                    throw new CliException(ExitCode.Usage, "--json goes with neither --markdown nor --reach; choose one");
                var goal = context.Arguments.GetValue(reach) is { } wanted ? Goal.Parse(wanted) : null;
                var request = new GetExperimentRequest { ExperimentId = context.Arguments.GetRequiredValue(id) };
                var found = await context.Connection.Experiments.GetExperimentAsync(request, context.Connection.Call(cancellationToken));
                await ExperimentJobs.AddRestAsync(found.Jobs, found.Experiment.Id, found.NextPageToken, context, cancellationToken);
                found.NextPageToken = "";
                if (context.Json)
                {
                    await context.Output.DocumentAsync(found);
                    return ExitCode.Done;
                }

                var reached = new List<string>();
                foreach (var job in goal is null ? [] : found.Jobs)
                    reached.Add(await goal!.ReachedByAsync(job, context, cancellationToken));
                var table = new ExperimentTable(found.Jobs, goal, reached);
                await context.Output.BlockAsync(
                    context.Arguments.GetValue(markdown)
                        ? table.Markdown(found.Experiment, context.Host.Time)
                        : Describe(found, table, context));
                return ExitCode.Done;
            });
        command.Arguments.Add(id);
        command.Options.Add(markdown);
        command.Options.Add(reach);
        return command;
    }

    private static Command BuildWatch(VerbFactory verbs)
    {
        var id = Argument();
        var command = verbs.Verb("watch", "Show the progress of an experiment's jobs until all have ended; Ctrl-C leaves them running.",
            (context, cancellationToken) =>
                new ExperimentFollower(context).FollowAsync(context.Arguments.GetRequiredValue(id), cancellationToken));
        command.Arguments.Add(id);
        return command;
    }

    private static Command BuildCancel(VerbFactory verbs)
    {
        var id = Argument();
        var reason = new Option<string?>("--reason") { Description = "kept with the jobs", HelpName = "TEXT" };
        const string about = "Cancel all jobs of an experiment that have not ended; a search makes no more.";
        var command = verbs.Verb("cancel", about, async (context, cancellationToken) =>
        {
            var request = new CancelExperimentRequest
            {
                ExperimentId = context.Arguments.GetRequiredValue(id),
                Reason = context.Arguments.GetValue(reason) ?? "",
            };
            var cancelled = await context.Connection.Experiments.CancelExperimentAsync(request, context.Connection.Call(cancellationToken));
            await ExperimentJobs.AddRestAsync(cancelled.Jobs, cancelled.Experiment.Id, cancelled.NextPageToken, context, cancellationToken);
            cancelled.NextPageToken = "";
            if (context.Json)
                await context.Output.DocumentAsync(cancelled);
            else
                await context.Output.LineAsync(ExperimentLines.Standing(cancelled.Experiment));
            return ExitCode.Done;
        });
        command.Arguments.Add(id);
        command.Options.Add(reason);
        return command;
    }

    private static ColumnTable Table(IEnumerable<Experiment> experiments)
    {
        var table = new ColumnTable("EXPERIMENT", "NAME", "OWNER", "JOBS", "STATES", "CREATED");
        foreach (var experiment in experiments)
        {
            table.Add(Words.Short(experiment.Id), experiment.Name, experiment.Owner, $"{experiment.States.Sum(count => count.Jobs)}",
                ExperimentLines.States(experiment), Words.Clock(experiment.CreatedAt));
        }

        return table;
    }

    private static async Task<ListExperimentsResponse> ListAsync(VerbContext context, int limit, CancellationToken cancellationToken)
    {
        var all = new ListExperimentsResponse();
        do
        {
            var request = new ListExperimentsRequest
            {
                PageSize = Math.Min(limit - all.Experiments.Count, LargestPage),
                PageToken = all.NextPageToken,
            };
            var page = await context.Connection.Experiments.ListExperimentsAsync(request, context.Connection.Call(cancellationToken));
            all.Experiments.AddRange(page.Experiments);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0 && all.Experiments.Count < limit);

        return all;
    }

    private static string Describe(GetExperimentResponse found, ExperimentTable table, VerbContext context)
    {
        var experiment = found.Experiment;
        var text = new StringBuilder();
        text.Append("experiment  ").Append(experiment.Id).Append('\n');
        text.Append("name        ").Append(Printable.OneLine(experiment.Name)).Append('\n');
        text.Append("owner       ").Append(Printable.OneLine(experiment.Owner)).Append('\n');
        text.Append("jobs        ").Append(ExperimentLines.Jobs(experiment)).Append(", ").Append(ExperimentLines.States(experiment))
            .Append('\n');
        if (experiment.Search is { } search)
            text.Append("search      ").Append(ExperimentLines.Search(search)).Append('\n');
        text.Append("created     ").Append(Words.Clock(experiment.CreatedAt)).Append("\n\n");
        text.Append(table.Text(context.Host.Time, context.Output.IsTerminal ? context.Output.Width : null));
        text.Append("\nfile\n");
        foreach (var line in found.Yaml.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            text.Append("  ").Append(Printable.OneLine(line)).Append('\n');
        return text.ToString();
    }
}
