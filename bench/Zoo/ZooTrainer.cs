using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Bench.Zoo;

/// <summary>
/// One job of <c>bench zoo</c>, as a process of its own: the session that a trainer runs, with this program in its agent's place.
/// </summary>
internal static class ZooTrainer
{
    public const string Verb = "zoo-trainer";

    public static Command Build()
    {
        var command = new Command(Verb, "one job of zoo") { Hidden = true };
        command.SetAction(async (_, cancellationToken) =>
        {
            var line = await Console.In.ReadLineAsync(cancellationToken) ?? throw new EndOfStreamException("no order came");
            var order = JsonSerializer.Deserialize<ZooOrder>(line)!;
            Console.WriteLine(JsonSerializer.Serialize(await TrainAsync(order, cancellationToken)));
        });
        return command;
    }

    public static TrainerLaunch Launch(JobSpec spec, int threads, string dataRoot) => new()
    {
        JobId = JobId.New().ToString(),
        Attempt = 1,
        AttemptSecret = "alone",
        Spec = spec,
        WorldSize = 1,
        Device = "cpu:0",
        NodeId = BenchTrainerLink.Node,
        DataRoot = dataRoot,
        Threads = threads,
    };

    private static async Task<ZooAnswer> TrainAsync(ZooOrder order, CancellationToken cancellationToken)
    {
        var link = new BenchTrainerLink();
        using var stop = new TrainerStop(TimeProvider.System);
        var began = Stopwatch.GetTimestamp();
        await using (var context = new TrainerContext(
            Launch(JobFile.Parse(order.Yaml), order.Threads, order.DataRoot), link, stop, NullLoggerFactory.Instance, TimeProvider.System))
        {
            var outcome = await TrainingThread.Run(() => new TrainingSession().Run(context, cancellationToken));
            if (outcome.ExitCode != TrainerExit.Done)
                throw new InvalidOperationException($"training ended with exit code {outcome.ExitCode}: {outcome.Message}");
        }

        return new ZooAnswer(
            link.Last(MetricNames.TestAccuracy), link.Parameters, Stopwatch.GetElapsedTime(began).TotalSeconds,
            (long)link.Last(MetricNames.MemoryPeakBytes));
    }
}

/// <param name="Yaml">The job file.</param>
/// <param name="Threads">Of the trainer.</param>
/// <param name="DataRoot">Where the data sets are.</param>
internal sealed record ZooOrder(string Yaml, int Threads, string DataRoot);

/// <inheritdoc cref="ZooOrder"/>
internal sealed record ZooAnswer(double TestAccuracy, long Parameters, double Seconds, long PeakBytes);
