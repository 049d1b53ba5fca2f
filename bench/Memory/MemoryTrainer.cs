using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
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
/// while the last of them run. Answers with the <see cref="MemoryPeak"/> of the process.
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

    private static async Task<MemoryPeak> PeakAsync(MemoryOrder order, CancellationToken cancellationToken)
    {
        var mapped = 0L;
        using var stop = new TrainerStop(TimeProvider.System);
        var link = new BenchTrainerLink(order.Rank, order.Ranks, order.Folder)
        {
            Progressed = steps =>
            {
                if (steps < Steps)
                    return;
                mapped = MappedOf(order.Folder);
                // The test that would follow takes no more memory than the steps, and long.
                stop.Request("all steps are done", TimeSpan.FromMinutes(1));
                BenchGroup.Signal(order.Folder, Trained);
            },
            StoreTakes = BenchGroup.WaitForAsync(order.Folder, Trained, cancellationToken),
        };
        await using (var context = new TrainerContext(Launch(order), link, stop, NullLoggerFactory.Instance, TimeProvider.System))
        {
            var outcome = await TrainingThread.Run(() => new TrainingSession().Run(context, cancellationToken));
            // A small network's test may be over before the stop comes.
            if (outcome.ExitCode is not (TrainerExit.Stopped or TrainerExit.Done))
                throw new InvalidOperationException($"training ended with exit code {outcome.ExitCode}: {outcome.Message}");
        }

        using var process = Process.GetCurrentProcess();
        return new MemoryPeak(process.PeakWorkingSet64, mapped);
    }

    /// <summary>Bytes of the files in a folder that this process has mapped and used.</summary>
    private static long MappedOf(string folder)
    {
        const string Resident = "Rss:"; // proc(5), smaps; in KiB
        var (bytes, isOfFolder) = (0L, false);
        foreach (var words in File.ReadLines("/proc/self/smaps").Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
        {
            if (!words[0].EndsWith(':'))
                isOfFolder = folder.Length > 0 && words[^1].StartsWith(folder, StringComparison.Ordinal); // where a mapping begins
            else if (words[0] == Resident && isOfFolder)
                bytes += 1024 * long.Parse(words[1], CultureInfo.InvariantCulture);
        }

        return bytes;
    }
}

/// <summary>What a rank of a job took.</summary>
/// <param name="Bytes">Its process' largest resident memory.</param>
/// <param name="Shared">Of these what it had mapped of its group's, after the last step; of rank 0, which alone hears of that.</param>
internal sealed record MemoryPeak(long Bytes, long Shared);

/// <summary>A rank of one job of <c>bench memory</c>.</summary>
/// <param name="Yaml">The job file.</param>
/// <param name="Threads">Of the trainer.</param>
/// <param name="DataRoot">Where the data sets are.</param>
/// <param name="Rank">From 0.</param>
/// <param name="Ranks">In all.</param>
/// <param name="Folder">Where they meet.</param>
internal sealed record MemoryOrder(string Yaml, int Threads, string DataRoot, int Rank, int Ranks, string Folder);
