using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Zoo;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
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

    /// <summary>Written while the steps after it run.</summary>
    public const int CheckpointAfterSteps = 3;

    public static Command Build()
    {
        var command = new Command(Verb, "one job of memory") { Hidden = true };
        command.SetAction(async (_, cancellationToken) =>
        {
            var line = await Console.In.ReadLineAsync(cancellationToken) ?? throw new EndOfStreamException("no order came");
            Console.WriteLine(JsonSerializer.Serialize(await PeakAsync(JsonSerializer.Deserialize<ZooOrder>(line)!, cancellationToken)));
        });
        return command;
    }

    private static async Task<long> PeakAsync(ZooOrder order, CancellationToken cancellationToken)
    {
        using var stop = new TrainerStop(TimeProvider.System);
        var trained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var link = new LoneTrainerLink { Progressed = steps => End(steps, stop, trained), StoreTakes = trained.Task };
        await using (var context = new TrainerContext(
            ZooTrainer.Launch(JobFile.Parse(order.Yaml), order.Threads, order.DataRoot), link, stop, NullLoggerFactory.Instance,
            TimeProvider.System))
        {
            var outcome = await TrainingThread.Run(() => new TrainingSession().Run(context, cancellationToken));
            if (outcome.ExitCode != TrainerExit.Stopped)
                throw new InvalidOperationException($"training ended with exit code {outcome.ExitCode}: {outcome.Message}");
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>The test that would follow takes no more memory than the steps, and long.</summary>
    private static void End(long steps, TrainerStop stop, TaskCompletionSource trained)
    {
        if (steps < Steps)
            return;
        stop.Request("all steps are done", TimeSpan.FromMinutes(1));
        trained.TrySetResult();
    }
}
