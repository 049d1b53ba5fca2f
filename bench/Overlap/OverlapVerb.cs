using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Bench.Training;

namespace Cluster.Bench.Overlap;

/// <summary>
/// <c>bench overlap</c>: how much of the gradients' exchange of two ranks by data lies within backward, with and without synchronised
/// statistics.
/// </summary>
internal static class OverlapVerb
{
    private const int Ranks = 2;
    private const double Milli = 1e3;

    public static Command Build()
    {
        var models = new Option<string[]>("--models")
        {
            Description = "networks",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["resnet18"],
        };
        models.AcceptOnlyFromAmong([.. TrainCase.All.Select(network => network.Model)]);
        var steps = new Option<int>("--steps")
        {
            Description = "medians of so many, after one that is not counted",
            DefaultValueFactory = _ => 10,
        };
        var command = new Command(
            "overlap", "how much of two ranks' exchange of gradients lies within backward; a minute a network on two cores")
        {
            models, steps, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction((arguments, cancellationToken) =>
            RunAsync(
                arguments.GetValue(models)!,
                arguments.GetValue(steps),
                RatioReport.For(arguments, "Exchange within backward"),
                cancellationToken));
        return command;
    }

    private static async Task RunAsync(string[] models, int steps, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report, peers: false);
        report.Note(
            $"{Ranks} ranks by data, a thread each, in a trainer's own environment; medians of {steps} steps on the rank that hides less");
        report.Note(
            "exchange: time in which gradients were under way, waits for the other rank among them; "
            + "begun: the share of the buckets that were under way before backward ended");
        var table = new MarkdownTable(
            "network", "statistics", "backward, ms", "exchange, ms", "of it within backward, ms", "share", "buckets begun",
            "exchanges of statistics, ms");
        foreach (var network in TrainCase.All.Where(network => models.Contains(network.Model)))
        {
            foreach (var synchronised in (bool[])[false, true])
            {
                var profile = await ProfileAsync(network with { SyncBatchNorm = synchronised }, steps, cancellationToken);
                string[] cells =
                [
                    $"{network.Model}, batch {network.Batch} a rank", synchronised ? "of the whole batch" : "of each rank",
                    Text(profile.Backward), Text(profile.Exchange), Text(profile.Hidden),
                    Percent(profile.HiddenShare), Percent(profile.Begun),
                    Text(profile.Statistics),
                ];
                report.Say(string.Join("  ", cells));
                table.Add(cells);
                if (report.IsJson)
                    RatioReport.AddJson(new { network.Model, network.SyncBatchNorm, profile });
            }
        }

        report.Finish(table);
    }

    private static string Text(double seconds) => RatioReport.Figure(seconds * Milli);

    private static string Percent(double share) => share.ToString("P0", CultureInfo.InvariantCulture);

    private static async Task<ExchangeProfile> ProfileAsync(TrainCase network, int steps, CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var ranks = await MeasuredRanks.StartAsync<TrainAnswer>(
                Ranks,
                rank => TrainRank.Start(
                    TrainerPlace.Of(rank, Ranks, threads: 1), [folder, $"{rank}", $"{Ranks}", "1", JsonSerializer.Serialize(network)]),
                cancellationToken);
            var answers = await ranks.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(steps, ProfilesExchange: true), cancellationToken);
            return answers.Select(answer => answer.Exchange!).MinBy(profile => profile.HiddenShare)!;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
