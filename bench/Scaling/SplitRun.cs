using System.Text.Json;
using Cluster.Bench.Measuring;
using Cluster.Bench.Training;

namespace Cluster.Bench.Scaling;

/// <summary>Training steps on ranks of this machine, a thread each.</summary>
internal static class SplitRun
{
    private const int Turns = 3, StepsATurn = 1;

    /// <summary>While a process's memory still grows.</summary>
    private const int TurnsBefore = 1;

    /// <summary>On so many ranks, with a core each while there are so many; the median of some turns.</summary>
    public static Task<double> SecondsAStepAsync(TrainCase network, int ranks, CancellationToken cancellationToken) =>
        SecondsAStepAsync(network, ranks, rank => TrainerPlace.Of(rank, ranks, threads: 1), cancellationToken);

    /// <summary>On one rank.</summary>
    /// <param name="network">What to train.</param>
    /// <param name="core">That it runs on, counted among this process's.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static Task<double> SecondsAStepAloneAsync(TrainCase network, int core, CancellationToken cancellationToken) =>
        SecondsAStepAsync(network, ranks: 1, _ => TrainerPlace.Alone(core), cancellationToken);

    private static async Task<double> SecondsAStepAsync(
        TrainCase network, int ranks, Func<int, TrainerPlace> placeOf, CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var running = await MeasuredRanks.StartAsync<TrainAnswer>(
                ranks,
                rank => TrainRank.Start(
                    placeOf(rank),
                    [folder, $"{rank}", $"{ranks}", "1", JsonSerializer.Serialize(network)]),
                cancellationToken);
            var turns = new List<double>();
            for (var turn = 0; turn < TurnsBefore + Turns; turn++)
                turns.Add((await running.AskAsync<TrainOrder, TrainAnswer>(new TrainOrder(StepsATurn), cancellationToken))
                    .Max(answer => answer.Seconds));
            return Interleaved.Median([.. turns.Skip(TurnsBefore)]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
