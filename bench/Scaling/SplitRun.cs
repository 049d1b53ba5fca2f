using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Training;

namespace Cluster.Bench.Scaling;

/// <summary>Training steps on ranks of this machine, a thread each.</summary>
internal static class SplitRun
{
    private const int Turns = 3, StepsATurn = 1;

    /// <summary>The median of some turns.</summary>
    public static async Task<double> SecondsAStepAsync(TrainCase network, int ranks, CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var running = await MeasuredRanks.StartAsync<TrainAnswer>(
                ranks,
                rank => TrainRank.Start(
                    TrainerPlace.Of(rank, ranks, threads: 1),
                    [folder, $"{rank}", $"{ranks}", "1", JsonSerializer.Serialize(network)]),
                cancellationToken);
            var turns = new List<double>();
            for (var turn = 0; turn < Turns; turn++)
                turns.Add((await running.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(StepsATurn), cancellationToken)).Max(answer => answer.Seconds));
            return Interleaved.Median(turns);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
