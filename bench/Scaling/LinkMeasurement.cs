using Cluster.Bench.AllReduce;
using Cluster.Bench.Measuring;

namespace Cluster.Bench.Scaling;

/// <summary>What two ranks of this machine exchange, through shared memory and through TCP.</summary>
internal static class LinkMeasurement
{
    private const int WorldSize = 2, Rounds = 7;
    private const long SmallBytes = 1 << 10, LargeBytes = 16 << 20;
    private const int SmallIterations = 500, LargeIterations = 8;

    public static async Task<(Link Memory, Link Tcp)> RunAsync(CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var ranks = await MeasuredRanks.StartAsync<AllReduceTime>(
                WorldSize, rank => MeasuredProcess.StartOurs(
                    TrainerPlace.Of(rank, WorldSize, threads: 1), "allreduce-rank", folder, $"{rank}", $"{WorldSize}"), cancellationToken);
            AllReduceOrder[] orders =
            [
                new(AllReduceOrder.Path.Buckets, SmallBytes, SmallIterations),
                new(AllReduceOrder.Path.Buckets, LargeBytes, LargeIterations), new(AllReduceOrder.Path.Staged, LargeBytes, LargeIterations),
                new(AllReduceOrder.Path.Tcp, SmallBytes, SmallIterations), new(AllReduceOrder.Path.Tcp, LargeBytes, LargeIterations),
            ];
            var seconds = await Interleaved.MediansAsync(Rounds, [.. orders.Select(order => (Func<Task<double>>)(async () =>
                (await ranks.AskAsync<AllReduceOrder, AllReduceTime>(order, cancellationToken)).Max(answer => answer.Seconds)))]);
            return (new Link(seconds[0], LargeBytes / seconds[1], LargeBytes / seconds[2]),
                new Link(seconds[3], LargeBytes / seconds[4], LargeBytes / seconds[4]));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
