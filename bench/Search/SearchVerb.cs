using System.CommandLine;
using System.Globalization;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Search;

namespace Cluster.Bench.Search;

/// <summary><c>bench search</c>: random search, successive halving and both kinds of ASHA over a recorded table, from many seeds.</summary>
internal static class SearchVerb
{
    private const double Divisor = 3;

    // Of what random search gets: the share in which the others are to come as far.
    private const double Aim = 1 / 3.0;

    public static Command Build()
    {
        var file = new Option<string>("--table")
        {
            Description = "recorded by search-record",
            DefaultValueFactory = _ => Path.Combine(AppContext.BaseDirectory, "Search", "lenet5.json"),
        };
        var seeds = new Option<int>("--seeds") { Description = "orders of the settings", DefaultValueFactory = _ => 1000 };
        var devices = new Option<int>("--devices") { Description = "trials that train at once", DefaultValueFactory = _ => 4 };
        var command = new Command("search", "random search, successive halving and ASHA on recorded trainings, in simulated time")
        {
            file, seeds, devices, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(arguments => Run(
            SearchTable.Read(arguments.GetValue(file)!), arguments.GetValue(seeds), arguments.GetValue(devices),
            RatioReport.For(arguments, "Searches")));
        return command;
    }

    private static void Run(SearchTable table, int seeds, int devices, RatioReport report)
    {
        var rungs = SearchPolicy.RungsFor(table.Epochs, maxRungs: 5, Divisor);
        var trials = table.Rows.Count / 3;
        var budget = trials * table.Epochs;
        var random = new SearchPolicy(SearcherKind.Random, SmallerIsBetter: false, [table.Epochs], Divisor, StopOnce: false);
        var promotion = new SearchPolicy(SearcherKind.Asha, SmallerIsBetter: false, rungs, Divisor, StopOnce: false);
        report.Note(table.About);
        report.Note(
            $"random search trains {trials} of the settings to their end, {budget} epochs; its best accuracy then is what is wanted");
        report.Note(
            $"counted is how many epochs have been trained, on {devices} devices, until a trial first validates as well, at any length; "
            + $"rungs at {string.Join(", ", rungs)} epochs, one in {Divisor} goes on; {seeds} seeds, each an order of the settings");

        var runs = new[] { "random search", "successive halving", "ASHA, promotion", "ASHA, stopping" }
            .ToDictionary(name => name, _ => new List<double>());
        for (var seed = 0; seed < seeds; seed++)
        {
            var order = Enumerable.Range(0, table.Rows.Count).ToArray();
            new Random(seed).Shuffle(order);
            var wanted = order.Take(trials).Max(setting => table.Rows[setting].Accuracies[^1]);
            var replay = new SearchReplay(table, order, devices);
            Note("random search", replay.EpochsTo(random, wanted));
            Note("successive halving", replay.EpochsToByHalving(rungs, Divisor, wanted));
            Note("ASHA, promotion", replay.EpochsTo(promotion, wanted));
            Note("ASHA, stopping", replay.EpochsTo(promotion with { StopOnce = true }, wanted));
        }

        var rows = new MarkdownTable("search", "epochs, p50", "p90", "never", $"within a third of {budget}, share of seeds");
        foreach (var (name, epochs) in runs)
        {
            var sorted = epochs.Order().ToList();
            var (within, never) = (Share(epochs, each => each <= Aim * budget), epochs.Count(double.IsInfinity));
            rows.Add(name, Figure(sorted[seeds / 2]), Figure(sorted[(int)(seeds * 0.9)]), $"{never}", within);
            report.Say($"{name}: p50 {Figure(sorted[seeds / 2])}, p90 {Figure(sorted[(int)(seeds * 0.9)])} epochs, never {never}, "
                + $"within a third of the budget {within}");
        }

        report.Finish(rows);

        void Note(string name, int? epochs) => runs[name].Add(epochs ?? double.PositiveInfinity);
    }

    private static string Share(List<double> epochs, Func<double, bool> holds) =>
        (100.0 * epochs.Count(holds) / epochs.Count).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private static string Figure(double epochs) => double.IsInfinity(epochs) ? "never" : epochs.ToString("0", CultureInfo.InvariantCulture);
}
