using System.CommandLine;
using System.Globalization;
using Cluster.Cli.Checkpoints;
using Cluster.Cli.Jobs;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Runs;

/// <summary>run predictions JOB: what a predict job took each sample for, as CSV or as JSON lines.</summary>
internal static class PredictionsVerb
{
    private static readonly JsonFormatter Line = new(JsonFormatter.Settings.Default.WithFormatDefaultValues(true));

    public static Command Build(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var output = new Option<string?>("--output", "-o")
        {
            Description = "write them to this file (otherwise to standard output)",
            HelpName = "FILE",
        };
        var command = verbs.Verb("predictions",
            "Print what a job of task predict gave: a line of CSV for each sample, or of JSON with --json.",
            async (context, cancellationToken) =>
            {
                var id = context.Arguments.GetRequiredValue(job);
                if (context.Arguments.GetValue(output) is not { } path)
                {
                    await WriteAsync(context, id, context.Host.Out, cancellationToken);
                    return ExitCode.Done;
                }

                await NewFile.WriteAsync(path, async file =>
                {
                    await using var writer = new StreamWriter(file);
                    await WriteAsync(context, id, writer, cancellationToken);
                });
                return ExitCode.Done;
            });
        command.Arguments.Add(job);
        command.Options.Add(output);
        return command;
    }

    private static async Task WriteAsync(VerbContext context, string job, TextWriter writer, CancellationToken cancellationToken)
    {
        using var call = context.Connection.Runs.StreamPredictions(
            new StreamPredictionsRequest { JobId = job }, context.Connection.Stream(cancellationToken));
        var headed = context.Json;
        await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            foreach (var row in message.Predictions)
            {
                if (!headed)
                    await writer.WriteLineAsync(Heading(row.Likeliest.Count));
                headed = true;
                await writer.WriteLineAsync(context.Json ? Line.Format(row) : Csv(row));
            }
        }
    }

    private static string Heading(int likeliest) =>
        "index,label,predicted" + string.Concat(Enumerable.Range(1, likeliest).Select(i => $",class{i},probability{i}"));

    private static string Csv(Prediction row) =>
        string.Create(CultureInfo.InvariantCulture, $"{row.Index},{(row.HasLabel ? $"{row.Label}" : "")},{row.Predicted}")
            + string.Concat(row.Likeliest.Select(one => string.Create(CultureInfo.InvariantCulture, $",{one.Class},{one.Probability:R}")));
}
