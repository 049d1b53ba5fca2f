using System.CommandLine;
using System.Globalization;
using Cluster.Bench.Hosts;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Contracts.Tls;
using Cluster.Tests.Shared;

namespace Cluster.Bench.AllReduce;

/// <summary>
/// <c>bench allreduce</c>: two ranks on one host or on two, against Gloo as PyTorch brings it, and against what the hardware allows.
/// </summary>
internal static class AllReduceVerb
{
    private const int WorldSize = 2;
    private const int KiB = 1 << 10;
    private const int MiB = 1 << 20;

    /// <summary>Above this size what counts is bandwidth, up to it the time of one operation.</summary>
    private const long LatencyBytes = 64 * KiB;

    /// <summary>Bytes that a contestant sums in one turn on a fast line, so that a turn takes some tens of milliseconds.</summary>
    private const long TurnBytes = 256 * MiB;

    private static readonly long[] Sizes = [KiB, 64 * KiB, MiB, 4 * MiB, 16 * MiB, 64 * MiB, 256 * MiB];

    public static Command Build()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "turns of each contestant; medians are printed",
            DefaultValueFactory = _ => 7,
        };
        var sizes = new Option<long[]>("--sizes")
        {
            Description = "KiB of the buffers",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. Sizes.Select(size => size / KiB)],
        };
        var twoHosts = new Option<bool>("--two-hosts")
        {
            Description = "ranks in two network namespaces (root makes them): over a plain line, a long one, and one that loses frames",
        };
        var tls = new Option<bool>("--tls") { Description = "on one host: also TCP that is encrypted, as with Agent:TrainerTls" };
        var command = new Command(
            "allreduce",
            "all-reduce of 2 ranks, against Gloo (python3-torch), memory copy and socket copy; about 3 minutes, with --two-hosts 5")
        {
            rounds, sizes, twoHosts, tls, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            long[] bytes = [.. arguments.GetValue(sizes)!.Select(size => size * KiB)];
            var run = new Measurement(arguments.GetValue(rounds), bytes, RatioReport.For(arguments, "All-reduce"));
            BenchEnvironment.Print(run.Report);
            run.Report.Note(
                $"{WorldSize} processes, float32, sum; medians of {run.Rounds} interleaved rounds; "
                + "algorithm bandwidth, which for 2 ranks is the bus bandwidth too");
            await (arguments.GetValue(twoHosts)
                ? OnTwoHostsAsync(run, cancellationToken)
                : OnOneHostAsync(run, arguments.GetValue(tls), cancellationToken));
            run.Report.Finish();
        });
        return command;
    }

    private static async Task OnOneHostAsync(Measurement run, bool encrypted, CancellationToken cancellationToken)
    {
        using var authority = new TestAuthority();
        string[] certificate = encrypted ? ["--certificate", authority.Make(CertificateUnit.Node).CertificateFile] : [];
        string[] ways = [AllReduceOrder.Path.Buckets, AllReduceOrder.Path.Staged, AllReduceOrder.Path.Tcp,
            AllReduceOrder.Path.MemoryCopy, AllReduceOrder.Path.SocketCopy];
        if (encrypted)
            ways = [.. ways, AllReduceOrder.Path.Tls];
        await WithPairsAsync(
            (folder, rank) => MeasuredProcess.StartOurs(
                TrainerPlace.Of(rank, WorldSize, threads: 1), ["allreduce-rank", folder, $"{rank}", $"{WorldSize}", .. certificate]),
            (folder, rank) => MeasuredProcess.StartPeer("allreduce.py", null, folder, $"{rank}", $"{WorldSize}"),
            async (ours, gloo) =>
            {
                foreach (var bytes in run.Sizes)
                {
                    var medians = await MediansAsync(run.Rounds, bytes, TurnBytes, ours, ways, gloo, cancellationToken);
                    for (var way = 0; way < 3; way++)
                        run.Report.Add(Row(bytes, ways[way], "Gloo", medians[way], medians[^1]));
                    run.Report.Add(Row(bytes, ways[0], ways[3], medians[0], medians[3]));
                    run.Report.Add(Row(bytes, ways[2], ways[4], medians[2], medians[4]));
                    if (encrypted)
                        run.Report.Add(Row(bytes, ways[5], ways[2], medians[5], medians[2]));
                }
            },
            cancellationToken);
    }

    private static async Task OnTwoHostsAsync(Measurement run, CancellationToken cancellationToken)
    {
        var delay = TimeSpan.FromMilliseconds(1);
        (string Name, LineQuality? Quality, long TurnBytes)[] lines =
        [
            ("veth", null, TurnBytes),
            ("1 ms each way", new LineQuality(delay, Loss: 0), TurnBytes / 16),
            ("1 ms each way, 0.5 % lost", new LineQuality(delay, Loss: 0.005), TurnBytes / 16),
        ];
        foreach (var line in lines)
        {
            using var hosts = TwoHosts.Make(line.Quality);
            await WithPairsAsync(
                (folder, rank) => MeasuredProcess.StartOursOn(
                    hosts, rank, "allreduce-rank", folder, $"{rank}", $"{WorldSize}", "--address", TwoHosts.AddressOf(rank)),
                (folder, rank) => MeasuredProcess.StartPeerOn(
                    hosts, rank, "allreduce.py", new Dictionary<string, string> { ["GLOO_SOCKET_IFNAME"] = hosts.InterfaceOf(rank) },
                    folder, $"{rank}", $"{WorldSize}"),
                async (ours, gloo) =>
                {
                    foreach (var bytes in run.Sizes)
                    {
                        var medians = await MediansAsync(run.Rounds, bytes, line.TurnBytes, ours,
                            [AllReduceOrder.Path.Tcp, AllReduceOrder.Path.SocketCopy], gloo, cancellationToken);
                        run.Report.Add(Row(bytes, AllReduceOrder.Path.Tcp, $"Gloo ({line.Name})", medians[0], medians[^1]));
                        run.Report.Add(
                            Row(bytes, AllReduceOrder.Path.Tcp, $"{AllReduceOrder.Path.SocketCopy} ({line.Name})", medians[0], medians[1]));
                    }
                },
                cancellationToken);
        }
    }

    private static async Task WithPairsAsync(
        Func<string, int, MeasuredProcess> startOurs, Func<string, int, MeasuredProcess> startGloo,
        Func<MeasuredRanks, MeasuredRanks, Task> measure, CancellationToken cancellationToken)
    {
        var folder = BenchGroup.MakeFolder();
        try
        {
            await using var ours = await MeasuredRanks.StartAsync<AllReduceTime>(
                WorldSize, rank => startOurs(folder, rank), cancellationToken);
            await using var gloo = await MeasuredRanks.StartAsync<AllReduceTime>(
                WorldSize, rank => startGloo(folder, rank), cancellationToken);
            await measure(ours, gloo);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <returns>Seconds an operation: of our ways in their order, then of Gloo.</returns>
    private static Task<double[]> MediansAsync(
        int rounds, long bytes, long turnBytes, MeasuredRanks ours, string[] ways, MeasuredRanks gloo, CancellationToken cancellationToken)
    {
        var iterations = (int)Math.Clamp(turnBytes / bytes, 2, 1000 * turnBytes / TurnBytes);
        return Interleaved.MediansAsync(rounds, [.. ways.Select(how => Turn(ours, how)), Turn(gloo, "gloo")]);

        Func<Task<double>> Turn(MeasuredRanks pair, string how) => async () =>
            (await pair.AskAsync<AllReduceOrder, AllReduceTime>(new AllReduceOrder(how, bytes, iterations), cancellationToken))
                .Max(answer => answer.Seconds);
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

    private sealed record Measurement(int Rounds, long[] Sizes, RatioReport Report);
}
