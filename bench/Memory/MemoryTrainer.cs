using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Zoo;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Bench.Memory;

/// <summary>
/// One job of <c>bench memory</c>, as a process of its own: the session that a trainer runs, for a few steps, with a checkpoint on its way
/// while the last of them run. Answers with the most memory that the process has had.
/// </summary>
internal static class MemoryTrainer
{
    public const string Verb = "memory-trainer";

    /// <summary>A heap has settled after three or four.</summary>
    public const int Steps = 6;

    /// <summary>What rank 0, which alone hears of progress, tells the others.</summary>
    private const string Trained = "trained";

    /// <summary>Written while the steps after it run.</summary>
    public const int CheckpointAfterSteps = 3;

    public static Command Build()
    {
        var command = new Command(Verb, "one job of memory") { Hidden = true };
        command.SetAction(async (_, cancellationToken) =>
        {
            var line = await Console.In.ReadLineAsync(cancellationToken) ?? throw new EndOfStreamException("no order came");
            Console.WriteLine(JsonSerializer.Serialize(await PeakAsync(JsonSerializer.Deserialize<MemoryOrder>(line)!, cancellationToken)));
        });
        return command;
    }

    /// <summary>What an agent would start a rank with.</summary>
    public static TrainerLaunch Launch(MemoryOrder order)
    {
        var launch = ZooTrainer.Launch(JobFile.Parse(order.Yaml), order.Threads, order.DataRoot);
        (launch.Rank, launch.LocalRank, launch.Device) = (order.Rank, order.Rank, $"cpu:{order.Rank}");
        launch.WorldSize = launch.LocalWorldSize = order.Ranks;
        return launch;
    }

    private static async Task<long> PeakAsync(MemoryOrder order, CancellationToken cancellationToken)
    {
        using var stop = new TrainerStop(TimeProvider.System);
        var link = new BenchTrainerLink(order.Rank, order.Ranks, order.Folder)
        {
            Progressed = steps => End(steps, stop, order.Folder),
            StoreTakes = BenchGroup.WaitForAsync(order.Folder, Trained, cancellationToken),
        };
        await using (var context = new TrainerContext(Launch(order), link, stop, NullLoggerFactory.Instance, TimeProvider.System))
        {
            var outcome = await TrainingThread.Run(() => new TrainingSession().Run(context, cancellationToken));
            if (outcome.ExitCode != TrainerExit.Stopped)
                throw new InvalidOperationException($"training ended with exit code {outcome.ExitCode}: {outcome.Message}");
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>The test that would follow takes no more memory than the steps, and long.</summary>
    private static void End(long steps, TrainerStop stop, string folder)
    {
        if (steps < Steps)
            return;
        stop.Request("all steps are done", TimeSpan.FromMinutes(1));
        BenchGroup.Signal(folder, Trained);
    }
}

/// <summary>A rank of one job of <c>bench memory</c>.</summary>
/// <param name="Yaml">The job file.</param>
/// <param name="Threads">Of the trainer.</param>
/// <param name="DataRoot">Where the data sets are.</param>
/// <param name="Rank">From 0.</param>
/// <param name="Ranks">In all.</param>
/// <param name="Folder">Where they meet.</param>
internal sealed record MemoryOrder(string Yaml, int Threads, string DataRoot, int Rank, int Ranks, string Folder);
