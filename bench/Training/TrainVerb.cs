using System.CommandLine;
using Cluster.Bench.Reporting;
using Cluster.Contracts;

namespace Cluster.Bench.Training;

/// <summary><c>bench train</c>: a trainer's step against PyTorch's, on one rank and against two-process DistributedDataParallel over Gloo.</summary>
internal static class TrainVerb
{
    public static Command Build()
    {
        var models = new Option<string[]>("--models")
        {
            Description = "networks to train",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. TrainCase.All.Select(network => network.Model)],
        };
        models.AcceptOnlyFromAmong([.. TrainCase.All.Select(network => network.Model)]);
        var ranks = new Option<int[]>("--ranks") { Description = "processes that share the work", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [1, 2] };
        var threads = new Option<int>("--threads") { Description = "of one rank alone; of several each has one", DefaultValueFactory = _ => Environment.ProcessorCount };
        var rounds = new Option<int>("--rounds") { Description = "turns of each contestant; medians are printed", DefaultValueFactory = _ => 9 };
        var seconds = new Option<double>("--seconds") { Description = "that a turn takes about; at least one step", DefaultValueFactory = _ => 1 };
        var format = new Option<string>("--memory-format") { Description = "of our images", DefaultValueFactory = _ => MemoryFormats.Auto };
        format.AcceptOnlyFromAmong([.. MemoryFormats.All]);
        var markdown = new Option<bool>("--markdown") { Description = "print a Markdown table at the end, and what is measured meanwhile on standard error" };
        var command = new Command("train", "training steps, against PyTorch with torchvision's models (python3-torch, python3-torchvision)")
        {
            models, ranks, threads, rounds, seconds, format, markdown, RatioReport.Option,
        };
        command.SetAction((arguments, cancellationToken) =>
        {
            var plan = new TrainPlan(
                [.. TrainCase.All.Where(network => arguments.GetValue(models)!.Contains(network.Model)).Select(network => network with { MemoryFormat = arguments.GetValue(format)! })],
                arguments.GetValue(ranks)!, arguments.GetValue(threads),
                arguments.GetValue(rounds), arguments.GetValue(seconds));
            return arguments.GetValue(markdown)
                ? RunAsync(plan, new RatioReport(json: false, Console.Error, Console.Error), new TrainTable(Console.Out), cancellationToken)
                : RunAsync(plan, RatioReport.For(arguments), table: null, cancellationToken);
        });
        return command;
    }

    /// <returns>The exit code: 1 if a step of ours is not PyTorch's, and so no row was reported for it.</returns>
    private static async Task<int> RunAsync(TrainPlan plan, RatioReport report, TrainTable? table, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report);
        report.Note($"float32, SGD with momentum {TrainCase.Momentum} and weight decay {TrainCase.WeightDecay}, one batch in memory; images a second of all ranks together; "
            + $"medians of {plan.Rounds} interleaved turns of about {plan.Seconds} s");
        report.Note("\"as installed\": this process's environment and the number of threads; \"same environment\": that of our trainers");
        var allEqual = true;
        foreach (var worldSize in plan.WorldSizes)
        {
            var threads = worldSize == 1 ? plan.Threads : 1;
            foreach (var network in plan.Networks)
            {
                await using var contest = await TrainContest.StartAsync(network, worldSize, threads, cancellationToken);
                var (contiguous, asTimed) = await contest.CompareStepsAsync(cancellationToken);
                report.Note($"{contest.Name}: batch {network.Batch} a rank, {network.InputSize} pixels, {threads} {(threads == 1 ? "thread" : "threads")} a rank; one step beside PyTorch's, contiguous: {contiguous}; as timed: {asTimed}");
                if (!contiguous.IsRounding || !asTimed.IsRoundingBetweenLayouts)
                {
                    report.Note($"{contest.Name}: the steps differ by more than rounding, so their speed is not compared");
                    allEqual = false;
                    continue;
                }

                var row = await contest.MeasureAsync(plan.Rounds, plan.Seconds, cancellationToken);
                row.Comparisons.ForEach(report.Add);
                table?.Add(row);
            }
        }

        table?.Print();
        return allEqual ? 0 : 1;
    }

    private sealed record TrainPlan(IReadOnlyList<TrainCase> Networks, IReadOnlyList<int> WorldSizes, int Threads, int Rounds, double Seconds);
}
