using System.CommandLine;
using System.Text.RegularExpressions;
using Cluster.Cli.Connection;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Jobs;

/// <summary>job logs ID: what the trainers wrote, in order.</summary>
internal static class LogsVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var follow = new Option<bool>("--follow", "-f") { Description = "stay and print new lines until the job ends" };
        var tail = NonNegative(new Option<int>("--tail") { Description = "only the last N lines; 0 means all", HelpName = "N" });
        var rank = NonNegative(new Option<int?>("--rank") { Description = "only this rank's lines", HelpName = "R" });
        var grep = new Option<string?>("--grep")
        {
            Description = "only lines in which this regular expression is found, without back references and looking around",
            HelpName = "PATTERN",
        };
        grep.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Pattern(token.Value) is null)
                result.AddError($"--grep is {Printable.OneLine(token.Value)}, which is no regular expression; write it as loss|nan");
        });
        var command = verbs.Verb("logs", "Print a job's log.", async (context, cancellationToken) =>
        {
            var request = new StreamLogsRequest
            {
                JobId = context.Arguments.GetRequiredValue(job),
                Follow = context.Arguments.GetValue(follow),
                Tail = context.Arguments.GetValue(tail),
            };
            if (context.Arguments.GetValue(rank) is { } only)
                request.Rank = only;
            var pattern = context.Arguments.GetValue(grep) is { } wanted ? Pattern(wanted) : null;
            await PrintAsync(context, request, pattern, cancellationToken);
            return ExitCode.Done;
        });
        command.Arguments.Add(job);
        foreach (var option in new Option[] { follow, tail, rank, grep })
            command.Options.Add(option);
        return command;
    }

    /// <summary>Linear in the line's length, whatever the pattern; null: it is none.</summary>
    private static Regex? Pattern(string text)
    {
        try
        {
            return new Regex(text, RegexOptions.NonBacktracking, Regex.InfiniteMatchTimeout);
        }
        catch (Exception fault) when (fault is ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    /// <param name="pattern">Null: all lines.</param>
    private static async Task PrintAsync(
        VerbContext context, StreamLogsRequest request, Regex? pattern, CancellationToken cancellationToken)
    {
        var batches = new PatientStream(context.Host.Time, context.Output.RemarkAsync).MessagesAsync(
            () => context.Connection.Jobs.StreamLogs(request, context.Connection.Stream(cancellationToken)),
            isLast: null, "the log goes on from here", cancellationToken);
        await foreach (var batch in batches)
        {
            // A stream that breaks is asked for anew behind what has been printed, and for no tail again: what is written meanwhile may be
            // longer.
            request.Tail = 0;
            request.AfterSequence = batch.Lines.LastOrDefault()?.Sequence ?? request.AfterSequence;
            foreach (var line in batch.Lines.Where(line => pattern?.IsMatch(line.Text) != false))
            {
                if (context.Json)
                    await context.Output.MessageAsync(line);
                else
                    await context.Output.LineAsync($"{Words.Clock(line.Time)} {Origin(line)} {line.Text}");
            }

            await context.Host.Out.FlushAsync(cancellationToken);
        }
    }

    // "[1/0]": attempt and rank; the agent's own lines about the trainer carry no rank's voice.
    private static string Origin(LogLine line) =>
        line.Stream == LogStream.Agent ? $"[{line.Attempt}/{line.Rank} agent]" : $"[{line.Attempt}/{line.Rank}]";

    private static Option<T> NonNegative<T>(Option<T> option)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out var number) && number < 0)
                result.AddError($"{option.Name} is {number} but must not be negative; use 0 or more");
        });
        return option;
    }
}
