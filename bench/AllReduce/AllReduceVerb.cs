using System.CommandLine;
using System.Globalization;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.AllReduce;

/// <summary><c>bench allreduce</c>: two ranks of one machine, against Gloo as PyTorch brings it, and against what the hardware allows.</summary>
internal static class AllReduceVerb
{
    private const int WorldSize = 2;
    private const int KiB = 1 << 10;
    private const int MiB = 1 << 20;

    /// <summary>Above this size what counts is bandwidth, up to it the time of one operation.</summary>
    private const long LatencyBytes = 64 * KiB;

    /// <summary>Bytes that a contestant sums in one turn, so that a turn takes some tens of milliseconds.</summary>
    private const long TurnBytes = 256 * MiB;

    private static readonly long[] Sizes = [KiB, 64 * KiB, MiB, 4 * MiB, 16 * MiB, 64 * MiB, 256 * MiB];

    public static Command Build()
    {
        var rounds = new Option<int>("--rounds") { Description = "turns of each contestant; medians are printed", DefaultValueFactory = _ => 7 };
        var sizes = new Option<long[]>("--sizes")
        {
            Description = "KiB of the buffers",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. Sizes.Select(size => size / KiB)],
        };
        var command = new Command("allreduce", "all-reduce of 2 ranks on one machine, against Gloo (python3-torch), memory copy and socket copy")
        {
            rounds, sizes, RatioReport.Option,
        };
        command.SetAction((arguments, cancellationToken) =>
            RunAsync(arguments.GetValue(rounds), [.. arguments.GetValue(sizes)!.Select(size => size * KiB)], RatioReport.For(arguments), cancellationToken));
        return command;
    }

    private static async Task RunAsync(int rounds, long[] sizes, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report);
        report.Note($"{WorldSize} processes, float32, sum; medians of {rounds} interleaved rounds; algorithm bandwidth, which for 2 ranks is the bus bandwidth too");
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var ours = await Pair.StartAsync(rank => MeasuredProcess.StartOurs("allreduce-rank", folder, $"{rank}", $"{WorldSize}"), cancellationToken);
            await using var gloo = await Pair.StartAsync(rank => MeasuredProcess.StartPeer("allreduce.py", null, folder, $"{rank}", $"{WorldSize}"), cancellationToken);
            foreach (var bytes in sizes)
                await MeasureAsync(bytes, rounds, ours, gloo, report, cancellationToken);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task MeasureAsync(long bytes, int rounds, Pair ours, Pair gloo, RatioReport report, CancellationToken cancellationToken)
    {
        var iterations = (int)Math.Clamp(TurnBytes / bytes, 2, 1000);
        string[] ways =
        [
            AllReduceOrder.Path.Buckets, AllReduceOrder.Path.Staged, AllReduceOrder.Path.Tcp, AllReduceOrder.Path.MemoryCopy, AllReduceOrder.Path.SocketCopy,
        ];
        var contestants = ways.Select(how => Turn(ours, how)).Append(Turn(gloo, "gloo")).ToList();
        var medians = await Interleaved.MediansAsync(rounds, contestants);
        for (var way = 0; way < 3; way++)
            report.Add(Row(bytes, ways[way], "Gloo", medians[way], medians[^1]));
        report.Add(Row(bytes, ways[0], ways[3], medians[0], medians[3]));
        report.Add(Row(bytes, ways[2], ways[4], medians[2], medians[4]));

        Func<Task<double>> Turn(Pair pair, string how) => () => pair.RunAsync(new AllReduceOrder(how, bytes, iterations), cancellationToken);
    }

    private static RatioRow Row(long bytes, string ours, string peer, double ourSeconds, double peerSeconds)
    {
        const double microseconds = 1e6, giga = 1e9;
        var name = string.Create(CultureInfo.InvariantCulture, $"{ours} {Size(bytes)} vs {peer}");
        return bytes <= LatencyBytes
            ? RatioRow.LessIsBetter(name, ourSeconds * microseconds, peerSeconds * microseconds, "µs")
            : RatioRow.MoreIsBetter(name, bytes / ourSeconds / giga, bytes / peerSeconds / giga, "GB/s");
    }

    private static string Size(long bytes) => bytes >= MiB ? $"{bytes / MiB} MiB" : $"{bytes / KiB} KiB";

    /// <summary>Both ranks of a contestant.</summary>
    private sealed class Pair(MeasuredProcess[] ranks) : IAsyncDisposable
    {
        public static async Task<Pair> StartAsync(Func<int, MeasuredProcess> start, CancellationToken cancellationToken)
        {
            var pair = new Pair([.. Enumerable.Range(0, WorldSize).Select(start)]);
            await pair.AnswersAsync(cancellationToken); // they have joined
            return pair;
        }

        /// <returns>Seconds an iteration.</returns>
        public async Task<double> RunAsync(AllReduceOrder order, CancellationToken cancellationToken)
        {
            foreach (var rank in ranks)
                await rank.SendAsync(order);
            return (await AnswersAsync(cancellationToken)).Max(answer => answer.Seconds);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var rank in ranks)
                await rank.DisposeAsync();
        }

        private async Task<AllReduceTime[]> AnswersAsync(CancellationToken cancellationToken) =>
            await Task.WhenAll(ranks.Select(rank => rank.ReceiveAsync<AllReduceTime>(cancellationToken)));
    }
}
