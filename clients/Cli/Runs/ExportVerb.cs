using System.CommandLine;
using System.Globalization;
using Cluster.Cli.Checkpoints;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Runs;

/// <summary>run export and run tensorboard: runs for other programs.</summary>
internal static class ExportVerb
{
    private const string Csv = "csv";
    private const string Parquet = "parquet";
    private const string TensorBoard = "tensorboard";

    public static Command BuildExport(VerbFactory verbs)
    {
        var (runs, selection) = (RunArgument.Several(0, ushort.MaxValue), new RunSelection(usual: null));
        var format = new Option<string>("--format")
        {
            Description = $"{Csv}, {Parquet} or {TensorBoard}",
            HelpName = "FORM",
            DefaultValueFactory = _ => Csv,
        };
        format.AcceptOnlyFromAmong(Csv, Parquet, TensorBoard);
        var points = new Option<bool>("--points") { Description = "a row for each measured point rather than for each run" };
        var output = new Option<string?>("--output", "-o")
        {
            Description = "write to this file, or for tensorboard into this folder (otherwise CSV to standard output)",
            HelpName = "PATH",
        };
        var command = verbs.Verb(
            "export", "Write runs for other programs: a row for each with its settings and newest figures, or all measured points.",
            async (context, cancellationToken) =>
            {
                var (form, path) = (context.Arguments.GetRequiredValue(format), context.Arguments.GetValue(output));
                var all = await ListAsync(context, context.Arguments.GetValue(runs) ?? [], selection, cancellationToken);
                if (form == TensorBoard)
                    return await WriteEventsAsync(context, all, path!, cancellationToken);
                var rows = context.Arguments.GetValue(points)
                    ? RunRows.OfPoints(context, all, cancellationToken)
                    : RunRows.OfRuns(all);
                if (path is null)
                    await CsvExport.WriteAsync(rows, context.Host.Out);
                else
                    await NewFile.WriteAsync(path, file => WriteAsync(rows, form, file, cancellationToken));
                return ExitCode.Done;
            });
        command.Arguments.Add(runs);
        selection.AddTo(command);
        foreach (var option in new Option[] { format, points, output })
            command.Options.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetValue(output) is null && result.GetValue(format) is Parquet or TensorBoard)
                result.AddError($"--format is {result.GetValue(format)}, which no terminal shows; name a place with --output");
        });
        return command;
    }

    public static Command BuildTensorBoard(VerbFactory verbs)
    {
        var (runs, selection) = (RunArgument.Several(0, ushort.MaxValue), new RunSelection(usual: null));
        var output = new Option<string>("--output", "-o")
        {
            Description = "into this folder, a folder for each run",
            HelpName = "FOLDER",
            Required = true,
        };
        const string about = "Write the curves of runs as event files, for tensorboard --logdir FOLDER.";
        var command = verbs.Verb("tensorboard", about, async (context, cancellationToken) =>
        {
            var all = await ListAsync(context, context.Arguments.GetValue(runs) ?? [], selection, cancellationToken);
            return await WriteEventsAsync(context, all, context.Arguments.GetRequiredValue(output), cancellationToken);
        });
        command.Arguments.Add(runs);
        selection.AddTo(command);
        command.Options.Add(output);
        return command;
    }

    /// <summary>The runs that are named; without names those that are selected.</summary>
    private static async Task<IReadOnlyList<Run>> ListAsync(
        VerbContext context, string[] named, RunSelection selection, CancellationToken cancellationToken)
    {
        if (named.Length == 0)
            return (await selection.ListAsync(context, cancellationToken)).Runs;
        if (selection.IsGiven(context))
            throw new CliException(ExitCode.Usage, "runs are named, so that --where and --sort select none; give one or the other");
        var runs = new List<Run>();
        foreach (var id in named)
        {
            var found = await context.Connection.Runs.GetRunAsync(
                new GetRunRequest { JobId = id }, context.Connection.Call(cancellationToken));
            runs.Add(found.Run);
        }

        return runs;
    }

    private static async Task WriteAsync(ExportRows rows, string form, FileStream file, CancellationToken cancellationToken)
    {
        if (form == Parquet)
        {
            await ParquetExport.WriteAsync(rows, file, cancellationToken);
            return;
        }

        await using var writer = new StreamWriter(file);
        await CsvExport.WriteAsync(rows, writer);
    }

    private static async Task<int> WriteEventsAsync(
        VerbContext context, IReadOnlyList<Run> runs, string folder, CancellationToken cancellationToken)
    {
        foreach (var run in runs)
        {
            // TensorBoard calls a run what its folder is called; names of jobs are names of files too, and may be those of several.
            var place = Path.Combine(folder, $"{run.Name}-{Rendering.Words.Short(run.JobId)}");
            Directory.CreateDirectory(place);
            var started = run.StartedAt?.ToDateTimeOffset() ?? context.Host.Time.GetUtcNow();
            var name = string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{started.ToUnixTimeSeconds()}.{run.JobId}");
            await NewFile.WriteAsync(Path.Combine(place, name), async file =>
            {
                var events = new EventFile(file);
                events.WriteVersion(started.ToUnixTimeMilliseconds() / 1000.0);
                await foreach (var point in RunRows.PointsAsync(context, run, cancellationToken))
                    events.Write(point);
            });
            if (!context.Json)
                await context.Output.LineAsync(Path.Combine(place, name));
        }

        return ExitCode.Done;
    }
}
