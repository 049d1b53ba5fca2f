using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Cluster.Bench.Hosts;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks on two hosts with a bad network between them.</summary>
[Trait("Round", "full")]
public sealed class SeveralHostsTests
{
    private const string RoleVariable = "CLUSTER_TEST_HOST_ROLE";
    private const string RankVariable = "CLUSTER_TEST_HOST_RANK";
    private const string FolderVariable = "CLUSTER_TEST_HOST_FOLDER";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task EveryOperation_WithoutAndWithDelayAndLoss_IsCorrect(bool disturbed)
    {
        using var hosts = Make(disturbed ? new LineQuality(TimeSpan.FromMilliseconds(2), Loss: 0.005) : null);
        using var ranks = Start(hosts, "check");
        foreach (var rank in ranks.Processes)
            (await ranks.EndOfAsync(rank)).ShouldBe((0, ""));
    }

    [Fact]
    public async Task AnOperation_WhenTheNetworkIsCut_EndsOnBothHostsLongBeforeItsDeadline()
    {
        using var hosts = Make();
        using var ranks = Start(hosts, "loop");
        foreach (var rank in ranks.Processes)
            (await rank.StandardOutput.ReadLineAsync(Token)).ShouldBe("joined");
        hosts.Cut();
        var began = Stopwatch.GetTimestamp();
        foreach (var (number, rank) in ranks.Processes.Index())
        {
            var (exit, error) = await ranks.EndOfAsync(rank);
            exit.ShouldBe(1);
            error.ShouldContain($"rank {1 - number} ");
        }

        // Five seconds to notice, and what it takes to be scheduled and to end; the operation's own time is ten times as long.
        Stopwatch.GetElapsedTime(began).ShouldBeLessThan(TimeSpan.FromSeconds(20));
    }

    private static TwoHosts Make(LineQuality? quality = null)
    {
        try
        {
            return TwoHosts.Make(quality);
        }
        catch (UnauthorizedAccessException e)
        {
            Assert.Skip(e.Message);
            throw;
        }
    }

    [ModuleInitializer]
    internal static void RunAsRankIfAsked()
    {
        if (Environment.GetEnvironmentVariable(RoleVariable) is not { } role)
            return;
        var rank = int.Parse(Environment.GetEnvironmentVariable(RankVariable)!);
        using var group = CollectiveGroup.JoinAsync(Setup(rank, Environment.GetEnvironmentVariable(FolderVariable)!),
            CancellationToken.None).GetAwaiter().GetResult();
        try
        {
            Console.WriteLine("joined");
            if (role == "check")
                Check(group);
            else
                Loop(group);
            Environment.Exit(0);
        }
        catch (CollectiveException e)
        {
            Console.Error.WriteLine(e.Message);
            Environment.Exit(1);
        }
    }

    private static void Loop(ICollectiveGroup group)
    {
        while (true)
            SomeOperation.AllReduce(group);
    }

    private static void Check(ICollectiveGroup group)
    {
        foreach (var count in (int[])[1, 1000, 1_000_003])
        {
            var values = new float[count];
            for (var i = 0; i < count; i++)
                values[i] = (group.Rank + 1) * (i % 1000);
            group.AllReduce(values.AsSpan(), "sum");
            Require(values, i => 3 * (i % 1000));
            if (group.Rank == 0)
                group.Send<float>(values, 1, "message");
            else
                group.Receive(values.AsSpan(), 0, "message");
            Require(values, i => 3 * (i % 1000));
            group.Broadcast(values.AsSpan(), 1, "broadcast");
            var part = new float[count];
            group.ReduceScatter<float>([.. values, .. values], part, "scatter");
            Require(part, i => 6 * (i % 1000));
            var both = new float[2 * count];
            group.AllGather<float>(part, both, "gather");
            Require(both, i => 6 * (i % count % 1000));
            group.Barrier("barrier");
        }
    }

    private static void Require(float[] values, Func<int, float> expected)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] != expected(i))
                throw new CollectiveException($"element {i} is {values[i]}, not {expected(i)}");
        }
    }

    private static CollectiveSetup Setup(int rank, string folder) => new()
    {
        Rank = rank,
        WorldSize = 2,
        NodeId = $"host-{rank}",
        PeerAddress = new PeerAddress(IPAddress.Parse(TwoHosts.AddressOf(rank)), TwoHosts.AddressOf(rank)),
        Secret = "the attempt's secret",
        Rendezvous = (mine, _) => Task.FromResult(Meet(folder, mine)),
        ReserveSharedMemory = (_, _, _) => throw new InvalidOperationException("hosts share no memory"),
    };

    /// <summary>Not asynchronous: what goes on elsewhere would wait for the module's initializer, which waits for it.</summary>
    private static IReadOnlyList<PeerEndpoint> Meet(string folder, PeerEndpoint mine)
    {
        var unfinished = Path.Combine(folder, $"unfinished-{mine.Rank}");
        File.WriteAllText(unfinished, JsonSerializer.Serialize(mine));
        File.Move(unfinished, PostOf(mine.Rank));
        SpinWait.SpinUntil(() => File.Exists(PostOf(1 - mine.Rank)));
        return [.. Enumerable.Range(0, 2).Select(rank => JsonSerializer.Deserialize<PeerEndpoint>(File.ReadAllText(PostOf(rank)))!)];

        string PostOf(int rank) => Path.Combine(folder, $"rank-{rank}");
    }

    private static Hosts Start(TwoHosts hosts, string role)
    {
        var folder = Directory.CreateTempSubdirectory("cluster-hosts-").FullName;
        var processes = Enumerable.Range(0, 2).Select(rank =>
        {
            var start = ProcessTests.ThisProgram();
            start.Environment[RoleVariable] = role;
            start.Environment[RankVariable] = $"{rank}";
            start.Environment[FolderVariable] = folder;
            return Process.Start(hosts.On(rank, start))!;
        });
        return new Hosts([.. processes], folder);
    }

    private sealed record Hosts(IReadOnlyList<Process> Processes, string Folder) : IDisposable
    {
        public async Task<(int ExitCode, string Error)> EndOfAsync(Process process)
        {
            var error = await process.StandardError.ReadToEndAsync(Token);
            await process.WaitForExitAsync(Token);
            return (process.ExitCode, error.Trim());
        }

        public void Dispose()
        {
            foreach (var process in Processes)
            {
                process.Kill(entireProcessTree: true);
                process.Dispose();
            }

            Directory.Delete(Folder, recursive: true);
        }
    }
}
