using System.CommandLine;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Describing;

namespace Cluster.Bench.Memory;

/// <summary><c>bench memory</c>: what trainer processes take at most, beside the estimate that the scheduler places them by.</summary>
internal static class MemoryVerb
{
    /// <summary>By how much of what is measured an estimate may be off.</summary>
    private const double Allowed = 0.2;

    public static Command Build()
    {
        var only = new Option<string[]>("--only")
        {
            Description = "models to measure instead of all",
            AllowMultipleArgumentsPerToken = true,
        };
        var ranks = new Option<int[]>("--ranks")
        {
            Description = "1: jobs of one rank; 2: those that two ranks share",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [1, 2],
        };
        ranks.AcceptOnlyFromAmong("1", "2");
        var threads = new Option<int>("--threads") { Description = "threads of a trainer", DefaultValueFactory = _ => 1 };
        var command = new Command(
            "memory",
            $"what training takes beside what is estimated; exit code 1 if an estimate is off by more than {Allowed:P0}; "
            + "about 12 minutes on two cores")
        {
            only, ranks, threads, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var (chosen, counts) = (arguments.GetValue(only) ?? [], arguments.GetValue(ranks)!);
            if (chosen.FirstOrDefault(name => !Array.Exists(MemoryCase.All, one => one.Model == name)) is { } unknown)
            {
                var known = MemoryCase.All.Select(one => one.Model).Distinct();
                await Console.Error.WriteLineAsync($"--only is {unknown} but that is not measured; choose of {string.Join(", ", known)}");
                return 2;
            }

            var cases = Array.FindAll(
                MemoryCase.All, one => (chosen.Length == 0 || chosen.Contains(one.Model)) && counts.Contains(one.Ranks));
            return await RunAsync(cases, arguments.GetValue(threads), RatioReport.For(arguments, "Memory"), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(MemoryCase[] cases, int threads, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report, peers: false);
        report.Note(
            "peak resident memory (VmHWM) of trainer processes in a trainer's own environment, "
            + $"{threads} {(threads == 1 ? "thread" : "threads")} each: "
            + $"{MemoryTrainer.Steps} steps, a checkpoint on its way in the last of them; of two ranks the larger, with its part "
            + "of the gradients' shared memory; estimated / measured MiB, ratio");
        report.Say(MemoryRow.Head);
        var rows = new List<MemoryRow>();
        foreach (var one in cases)
        {
            var measured = await MeasureAsync(one, threads, cancellationToken);
            var row = new MemoryRow(one.Model, one.Input, one.Batch, one.Split, one.Optimizer, one.Precision, Estimate(one), measured);
            rows.Add(row);
            report.Say(row.ToString());
            if (report.IsJson)
                RatioReport.AddJson(row);
        }

        var off = rows.Count(row => Math.Abs(row.Ratio - 1) > Allowed);
        report.Note($"{rows.Count - off} of {rows.Count} estimates within {Allowed:P0} of what was taken");
        report.Finish(MemoryRow.Table(rows));
        return off == 0 ? 0 : 1;
    }

    /// <summary>As a node answers when a job is submitted.</summary>
    private static long Estimate(MemoryCase one)
    {
        var spec = one.Spec;
        var answer = ModelDescriber.Answer(new ModelQuery
        {
            Model = spec.Model,
            RankBatchSize = one.Batch,
            Optimizer = spec.Hyperparameters.Optimizer,
            Precision = spec.Hyperparameters.Precision,
            Parts = one.IsHybrid ? one.Ranks : 1,
            Hybrid = one.IsHybrid,
            StateShares = spec.Hyperparameters.ShardOptimizer ? spec.Mesh?.Data ?? 1 : 1,
            GradientsSummed = spec.Mesh is { Data: > 1 },
        });
        return answer.Description?.Memory.Total ?? throw new InvalidOperationException(answer.Fault);
    }

    private static async Task<long> MeasureAsync(MemoryCase one, int threads, CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            var orders = Enumerable.Range(0, one.Ranks)
                .Select(rank => new MemoryOrder(one.Yaml, threads, new AgentOptions().DataRoot, rank, one.Ranks, folder)).ToList();
            var peaks = await Task.WhenAll(orders.Select(order => PeakAsync(order, cancellationToken)));
            // What ranks of a node share is there once, and mapped by each.
            var shared = peaks[0].Shared;
            return peaks.Max(peak => peak.Bytes) - shared + (shared / one.Ranks);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<MemoryPeak> PeakAsync(MemoryOrder order, CancellationToken cancellationToken)
    {
        await using var trainer = MeasuredProcess.StartOurs(TrainerPlace.Of(MemoryTrainer.Launch(order)), MemoryTrainer.Verb);
        await trainer.SendAsync(order);
        return await trainer.ReceiveAsync<MemoryPeak>(cancellationToken);
    }
}
