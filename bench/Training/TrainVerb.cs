using System.CommandLine;
using Cluster.Bench.Reporting;
using Cluster.Contracts;
using TorchSharp;

namespace Cluster.Bench.Training;

/// <summary>
/// <c>bench train</c>: a trainer's step against PyTorch's, on one rank and against two-process DistributedDataParallel over Gloo.
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
        var rounds = new Option<int>("--rounds")
        {
            Description = "turns of each contestant; medians are printed",
            DefaultValueFactory = _ => 9,
        };
        var seconds = new Option<double>("--seconds")
        {
            Description = "that a turn takes about; at least one step",
            DefaultValueFactory = _ => 1,
        };
        var format = new Option<string>("--memory-format") { Description = "of our images", DefaultValueFactory = _ => MemoryFormats.Auto };
        format.AcceptOnlyFromAmong([.. MemoryFormats.All]);
        var markdown = new Option<bool>("--markdown")
        {
            Description = "print a Markdown table at the end, and what is measured meanwhile on standard error",
        };
        var command = new Command("train", "training steps, against PyTorch with torchvision's models (python3-torch, python3-torchvision)")
        {
            models, device, ranks, threads, rounds, seconds, format, markdown, RatioReport.Option,
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
                return RefuseAsync(
                    $"--models is {string.Join(" ", arguments.GetValue(models)!)} but with --device {arguments.GetValue(device)} these are "
                        + $"measured: {string.Join(" ", measured.Select(network => network.Model).Distinct())}");
            var rows = onGpu
                ? networks.Select(network => (network, network.Split == TrainCase.ByData ? 1 : 2))
                : arguments.GetValue(ranks)!.SelectMany(worldSize => networks, (worldSize, network) => (network, worldSize));
            var plan = new TrainPlan([.. rows], arguments.GetValue(threads), arguments.GetValue(rounds), arguments.GetValue(seconds));
            return arguments.GetValue(markdown)
                ? RunAsync(plan, new RatioReport(json: false, Console.Error, Console.Error), new TrainTable(Console.Out), cancellationToken)
                : RunAsync(plan, RatioReport.For(arguments), table: null, cancellationToken);
        });
        return command;
    }

    private static async Task<int> RefuseAsync(string reason)
    {
        await Console.Error.WriteLineAsync(reason);
        return 2;
    }

    /// <returns>The exit code: 1 if a step of ours is not PyTorch's, and so no row was reported for it.</returns>
    private static async Task<int> RunAsync(TrainPlan plan, RatioReport report, TrainTable? table, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report);
        report.Note(
            $"float32 unless another type is named, SGD with momentum {TrainCase.Momentum} and weight decay {TrainCase.WeightDecay}, "
                + "one batch in memory; images a second of all ranks together; "
                + $"medians of {plan.Rounds} interleaved turns of about {plan.Seconds} s");
        report.Note("\"as installed\": this process's environment and the number of threads; \"same environment\": "
            + "that of our trainers, and on a GPU channels-last and cuDNN's search for the fastest kernels");
        var allEqual = true;
        Task<TrainContest>? next = null;
        foreach (var (i, (network, worldSize)) in plan.Rows.Index())
        {
            await using var contest = await (next ?? StartAsync(i));
            // On a GPU the next row's processes start meanwhile; the CPU's memory is for one row's at a time.
            next = network.IsOnGpu && i + 1 < plan.Rows.Count ? StartAsync(i + 1) : null;
            var (areEqual, difference) = await contest.CompareStepsAsync(cancellationToken);
            report.Note($"{contest.Name}: batch {network.Batch} a rank, {network.InputSize} pixels, "
                + $"{ThreadsOf(worldSize)} {(ThreadsOf(worldSize) == 1 ? "thread" : "threads")} a rank; "
                + $"one step beside PyTorch's, {difference}");
            if (!areEqual)
            {
                report.Note($"{contest.Name}: the steps differ by more than rounding, so their speed is not compared");
                allEqual = false;
                continue;
            }

            if (next is not null)
                await next; // nothing is timed beside a start
            var row = await contest.MeasureAsync(plan.Rounds, plan.Seconds, cancellationToken);
            row.Comparisons.ForEach(report.Add);
            table?.Add(row);
        }

        table?.Print();
        return allEqual ? 0 : 1;

        int ThreadsOf(int worldSize) => worldSize == 1 ? plan.Threads : 1;
        Task<TrainContest> StartAsync(int row) => TrainContest.StartAsync(
            plan.Rows[row].Network, plan.Rows[row].WorldSize, ThreadsOf(plan.Rows[row].WorldSize), cancellationToken);
    }

    private sealed record TrainPlan(IReadOnlyList<(TrainCase Network, int WorldSize)> Rows, int Threads, int Rounds, double Seconds);
}
