using System.CommandLine;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts;
using TorchSharp;

namespace Cluster.Bench.Training;

/// <summary>
/// <c>bench train</c>: a trainer's step against a plain TorchSharp program's and PyTorch's, on two ranks against
/// DistributedDataParallel over Gloo.
/// </summary>
internal static class TrainVerb
{
    public static Command Build()
    {
        string[] known = [.. TrainCase.All.Concat(TrainCase.OnGpu).Select(network => network.Model).Distinct()];
        var models = new Option<string[]>("--models")
        {
            Description = "networks to train; some on GPUs only, some on CPUs only",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => known,
        };
        models.AcceptOnlyFromAmong(known);
        var device = new Option<string>("--device")
        {
            Description = "cpu, or cuda: this machine's first GPU, on which --ranks says nothing",
            DefaultValueFactory = _ => "cpu",
        };
        device.AcceptOnlyFromAmong("cpu", TrainCase.Gpu);
        var ranks = new Option<int[]>("--ranks")
        {
            Description = "processes that share the work",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [1, 2],
        };
        var threads = new Option<int>("--threads")
        {
            Description = "of one rank alone; of several each has one",
            DefaultValueFactory = _ => Environment.ProcessorCount,
        };
        var sets = new Option<string[]>("--instruction-set")
        {
            Description = "up to which oneDNN, MKL, OpenBLAS, ATen and .NET compute, for every contestant: "
                + "native is what the processor has; each given makes rows of its own",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [InstructionSets.Native.Name],
        };
        sets.AcceptOnlyFromAmong([.. InstructionSets.All.Select(one => one.Name)]);
        var rounds = new Option<int>("--rounds")
        {
            Description = "turns of each contestant at most; medians are printed",
            DefaultValueFactory = _ => 9,
        };
        var seconds = new Option<double>("--seconds")
        {
            Description = "that a turn takes about; at least one step",
            DefaultValueFactory = _ => 1,
        };
        var minutes = new Option<double>("--minutes")
        {
            Description = "that all rows take about: each has an equal share, in which it makes its rounds, but three in any case",
            DefaultValueFactory = _ => 25,
        };
        var format = new Option<string>("--memory-format") { Description = "of our images", DefaultValueFactory = _ => MemoryFormats.Auto };
        format.AcceptOnlyFromAmong([.. MemoryFormats.All]);
        var command = new Command(
            "train",
            "training steps, against plain TorchSharp and PyTorch with torchvision's models (python3-torchvision); "
            + "for about as long as --minutes says")
        {
            models, device, ranks, threads, sets, rounds, seconds, minutes, format, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction((arguments, cancellationToken) =>
        {
            var onGpu = arguments.GetValue(device) == TrainCase.Gpu;
            if (onGpu && !torch.cuda.is_available())
                return RefuseAsync(
                    "--device is cuda but libtorch sees no GPU here; use cpu, or a libtorch for CUDA on a machine that has one");
            var measured = onGpu ? TrainCase.OnGpu : TrainCase.All;
            TrainCase[] networks = [.. measured
                .Where(network => arguments.GetValue(models)!.Contains(network.Model))
                .Select(network => network with { MemoryFormat = arguments.GetValue(format)! })];
            if (networks.Length == 0)
            {
                return RefuseAsync(
                    $"--models is {string.Join(" ", arguments.GetValue(models)!)} "
                    + $"but with --device {arguments.GetValue(device)} these are measured: "
                    + string.Join(" ", measured.Select(network => network.Model).Distinct()));
            }

            var entries =
                from set in InstructionSets.All.Where(one => arguments.GetValue(sets)!.Contains(one.Name))
                from count in onGpu ? [0] : arguments.GetValue(ranks)!
                from network in networks
                let worldSize = !onGpu ? count : network.Split == TrainCase.ByData ? 1 : 2
                select new TrainEntry(network, worldSize, worldSize == 1 ? arguments.GetValue(threads) : 1, set);
            var budget = TimeSpan.FromMinutes(arguments.GetValue(minutes));
            var plan = new TrainPlan([.. entries], arguments.GetValue(rounds), arguments.GetValue(seconds), budget);
            return RunAsync(plan, RatioReport.For(arguments, "Training"), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RefuseAsync(string reason)
    {
        await Console.Error.WriteLineAsync(reason);
        return 2;
    }

    /// <returns>The exit code: 1 if a row is missing: somebody's step is not the network's, or somebody ended.</returns>
    private static async Task<int> RunAsync(TrainPlan plan, RatioReport report, CancellationToken cancellationToken)
    {
        Begin(plan, report);
        var (clock, table, allEqual) = (new TrainClock(plan.Budget, plan.Entries.Count), TrainRow.Table(), true);
        Task<TrainContest>? next = null;
        foreach (var (i, entry) in plan.Entries.Index())
        {
            clock.BeginRow(i);
            try
            {
                allEqual &= await MeasureAsync(i, entry);
            }
            catch (ProcessEndedException ended)
            {
                // Such as when memory runs out: the other rows are measured all the same.
                report.Note($"{entry.Name}: not measured: {ended.Message}");
                allEqual = false;
            }
        }

        report.Finish(table);
        return allEqual ? 0 : 1;

        async Task<bool> MeasureAsync(int i, TrainEntry entry)
        {
            var started = next ?? StartAsync(i);
            next = null;
            await using var contest = await started;
            // On a GPU the next row's processes start meanwhile; the CPU's memory is for one row's at a time.
            next = entry.Network.IsOnGpu && i + 1 < plan.Entries.Count ? StartAsync(i + 1) : null;
            var (areEqual, differences) = await contest.CompareStepsAsync(cancellationToken);
            report.Say($"{entry.Name}: one step beside the same in float64: {string.Join("; ", differences)}");
            if (!areEqual)
            {
                report.Note(
                    $"{entry.Name}: the steps differ by more than rounding, so their speed is not compared: "
                    + string.Join("; ", differences));
                return false;
            }

            if (next is not null)
                await Task.WhenAny(next); // nothing is timed beside a start
            var row = await contest.MeasureAsync(plan.Rounds, plan.Seconds, clock.LeftForRow, cancellationToken);
            foreach (var comparison in row.Comparisons)
                report.Add(comparison);
            table.Add(row.Cells());
            return true;
        }

        Task<TrainContest> StartAsync(int row) => TrainContest.StartAsync(plan.Entries[row], cancellationToken);
    }

    private static void Begin(TrainPlan plan, RatioReport report)
    {
        BenchEnvironment.Print(report);
        report.Note(
            $"float32 unless another type is named, SGD with momentum {TrainCase.Momentum} and weight decay {TrainCase.WeightDecay}, "
            + "one batch in memory; images a second of "
            + $"all ranks together; medians of at most {plan.Rounds} interleaved turns of about {plan.Seconds} s");
        report.Note(
            "\"as installed\": this process's environment and the number of threads; \"same environment\": that of our trainers, cores "
            + "included, and on a GPU channels-last "
            + "and cuDNN's search for the fastest kernels; TorchSharp is a plain program on our libtorch; two ranks of PyTorch are "
            + "DistributedDataParallel over Gloo");
        foreach (var set in plan.Entries.Select(entry => entry.Sets).Distinct().Where(set => set.Variables.Count > 0))
        {
            var variables = string.Join(" ", set.Variables.Select(variable => $"{variable.Key}={variable.Value}"));
            report.Note($"instruction set {set.Name}: {variables} for every contestant");
        }

        report.Note("before a row counts, each contestant's loss and gradients are held against float64 of the same network");
    }

    private sealed record TrainPlan(IReadOnlyList<TrainEntry> Entries, int Rounds, double Seconds, TimeSpan Budget);
}
