using System.CommandLine;
using Cluster.Cli.Jobs;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Cli.Runs;

/// <summary>run compare A B …: what differs between runs, what came of it, and their curves over each other.</summary>
internal static class CompareVerb
{
    /// <summary>More letters over each other nobody can tell apart.</summary>
    private const int MostRuns = 8;

    private const int PlotHeight = 12;
    private const int WidestPlot = 100;

    /// <summary>Of a curve; several for each column of a plot.</summary>
    private const int Points = 1200;

    public static Command Build(VerbFactory verbs)
    {
        var runs = RunArgument.Several(2, MostRuns);
        var series = new Option<string[]>("--series")
        {
            Description = "plot this series; may be given again (otherwise train/loss and validation/accuracy)",
            HelpName = "NAME",
            DefaultValueFactory = _ => [MetricNames.TrainLoss, MetricNames.ValidationAccuracy],
        };
        var csv = VerbFactory.CsvOption();
        var command = verbs.Verb(
            "compare", "Show what differs between runs, what came of it, and their curves over each other; as JSON, a job a line.",
            async (context, cancellationToken) =>
            {
                var jobs = new List<Job>();
                foreach (var id in context.Arguments.GetRequiredValue(runs))
                {
                    var found = await context.Connection.Jobs.GetJobAsync(
                        new GetJobRequest { JobId = id }, context.Connection.Call(cancellationToken));
                    jobs.Add(found.Job);
                }

                if (context.Json)
                {
                    foreach (var job in jobs)
                        await context.Output.MessageAsync(job);
                    return ExitCode.Done;
                }

                await context.Output.TableAsync(Differences(jobs, context.Host.Time), context.Arguments.GetValue(csv));
                if (!context.Arguments.GetValue(csv))
                {
                    foreach (var name in context.Arguments.GetValue(series) ?? [])
                        await PlotAsync(context, jobs, name, cancellationToken);
                }

                return ExitCode.Done;
            });
        command.Arguments.Add(runs);
        command.Options.Add(series);
        command.Options.Add(csv);
        command.Validators.Add(result => verbs.Check(result, csv));
        return command;
    }

    private static char Letter(int run) => (char)('A' + run);

    private static ColumnTable Differences(List<Job> jobs, TimeProvider time)
    {
        var table = new ColumnTable(["WHAT", .. jobs.Select((_, run) => $"{Letter(run)}")]);
        Add("run", job => Words.Short(job.Id));
        Add("name", job => job.Spec.Name);
        Add("state", job => job.State.Word());
        var settings = jobs.ConvertAll(job => SpecSettings.Of(job.Spec).ToDictionary(setting => setting.Path, setting => setting.Text));
        foreach (var path in settings.SelectMany(given => given.Keys).Distinct().Where(path => path != "name"))
        {
            var values = settings.ConvertAll(given => given.GetValueOrDefault(path, ""));
            if (values.Distinct(StringComparer.Ordinal).Count() > 1)
                table.Add([path, .. values]);
        }

        AddFigure("epoch", progress => progress.Epochs > 0 ? Words.Epoch(progress) : "");
        AddFigure("train loss", progress => progress.HasTrainLoss ? Words.Loss(progress.TrainLoss) : "");
        AddFigure("train accuracy", progress => progress.HasTrainAccuracy ? Words.Percent(progress.TrainAccuracy) : "");
        AddFigure("validation accuracy", progress => progress.HasValidationAccuracy ? Words.Percent(progress.ValidationAccuracy) : "");
        AddFigure("test accuracy", progress => progress.HasTestAccuracy ? Words.Percent(progress.TestAccuracy) : "");
        AddFigure("images/s", progress => progress.HasSamplesPerSecond ? Words.Rate(progress.SamplesPerSecond) : "");
        Add("time", job => Words.RunTime(job.StartedAt, job.FinishedAt, time) is { } ran ? Words.Length(ran) : "");
        return table;

        void Add(string what, Func<Job, string> cell) => table.Add([what, .. jobs.Select(cell)]);

        void AddFigure(string what, Func<Contracts.V1.Progress, string> cell) =>
            Add(what, job => job.Progress is { } progress ? cell(progress) : "");
    }

    private static async Task PlotAsync(VerbContext context, List<Job> jobs, string series, CancellationToken cancellationToken)
    {
        var plot = new TextPlot(Math.Min(context.Output.Width, WidestPlot) - 20, PlotHeight);
        for (var run = 0; run < jobs.Count; run++)
        {
            var request = new StreamMetricsRequest { JobId = jobs[run].Id, Names = { series }, MaxPoints = Points };
            using var call = context.Connection.Runs.StreamMetrics(request, context.Connection.Stream(cancellationToken));
            var points = await call.ResponseStream.ReadAllAsync(cancellationToken).SelectMany(batch => batch.Points)
                .Select(point => ((double)point.Step, point.Value)).ToListAsync(cancellationToken);
            plot.Add(Letter(run), points);
        }

        await context.Output.BlockAsync($"\n{Printable.OneLine(series)} by step\n{plot.Render()}");
    }
}

/// <summary>Arguments that name runs, by their jobs' ids.</summary>
internal static class RunArgument
{
    public static Argument<string[]> Several(int fewest, int most)
    {
        var argument = new Argument<string[]>("RUN")
        {
            Description = "runs, by their jobs' ids or the first 4 characters or more of them",
            Arity = new ArgumentArity(fewest, most),
        };
        argument.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => !IdPrefix.TryParse(token.Value, out _)))
                result.AddError(PrefixArgument.Fault("RUN", token.Value, "a job", "./cluster run list"));
        });
        return argument;
    }
}
