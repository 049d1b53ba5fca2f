using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Cluster.Worker.Agent;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks as processes of their own, joined by shared memory alone.</summary>
public sealed class ProcessTests
{
    private const string RoleVariable = "CLUSTER_TEST_COLLECTIVE_ROLE";
    private const string SegmentVariable = "CLUSTER_TEST_COLLECTIVE_SEGMENT";
    private const int Elements = 300_001;

    [Fact]
    public async Task AllReduce_OfTwoProcesses_GivesBothTheSum()
    {
        using var segments = new SharedMemorySegments(new MachineMemory());
        var segment = Reserve(segments);
        using var other = StartRank1("sum", segment);
        using var group = await JoinAsync(0, segment, new CollectiveOptions(), TestContext.Current.CancellationToken);
        SumAndCheck(group);
        await other.WaitForExitAsync(TestContext.Current.CancellationToken);
        other.ExitCode.ShouldBe(0, await other.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task AllReduce_WhenThePeersProcessIsKilled_NamesItLongBeforeTheDeadline()
    {
        using var segments = new SharedMemorySegments(new MachineMemory());
        var segment = Reserve(segments);
        using var other = StartRank1("wait", segment);
        using var group = await JoinAsync(0, segment, new CollectiveOptions(), TestContext.Current.CancellationToken);
        SumAndCheck(group);
        other.Kill();
        var failure = Should.Throw<CollectiveException>(() => group.AllReduce<float>(new float[Elements], "gradients/1"));
        failure.Fault.ShouldBe(CollectiveFault.PeerLost);
        failure.Peer.ShouldBe(1);
        failure.Message.ShouldContain($"rank 1 is dead (process {other.Id.ToString(CultureInfo.InvariantCulture)}) in 'gradients/1'");
    }

    [ModuleInitializer]
    internal static void RunAsRankIfAsked()
    {
        if (Environment.GetEnvironmentVariable(RoleVariable) is not { } role)
            return;
        using var group = JoinAsync(1, Environment.GetEnvironmentVariable(SegmentVariable)!, new CollectiveOptions(),
            CancellationToken.None).GetAwaiter().GetResult();
        while (SomeOperation.Names.Contains(role))
            SomeOperation.Run(role, group); // until killed
        SumAndCheck(group);
        if (role == "wait")
            Thread.Sleep(Timeout.Infinite); // until killed, in no operation: being in another one would be told as that instead
        Environment.Exit(0);
    }

    private static void SumAndCheck(ICollectiveGroup group)
    {
        var values = new float[Elements];
        for (var i = 0; i < Elements; i++)
            values[i] = (group.Rank + 1) * (i % 1000);
        group.AllReduce(values.AsSpan(), "sum");
        for (var i = 0; i < Elements; i++)
        {
            if (values[i] != 3 * (i % 1000))
                throw new InvalidOperationException($"rank {group.Rank}: element {i} is {values[i]}");
        }
    }

    /// <summary>With a role in its environment it is a rank instead of a test run.</summary>
    internal static ProcessStartInfo ThisProgram()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(ProcessTests).Assembly.Location);
        return start;
    }

    /// <param name="role">What it is to do: <c>sum</c>, <c>wait</c>, or one of <see cref="SomeOperation"/>'s again and again.</param>
    /// <param name="segment">From <see cref="Reserve"/>.</param>
    internal static Process StartRank1(string role, string segment)
    {
        var start = ThisProgram();
        start.Environment[RoleVariable] = role;
        start.Environment[SegmentVariable] = segment;
        return Process.Start(start)!;
    }

    internal static Task<ICollectiveGroup> JoinAsync(
        int rank, string segment, CollectiveOptions options, CancellationToken cancellationToken) => CollectiveGroup.JoinAsync(
            new CollectiveSetup
            {
                Rank = rank,
                WorldSize = 2,
                NodeId = "here",
                Secret = "the attempt's secret",
                Rendezvous = (mine, _) => Task.FromResult<IReadOnlyList<PeerEndpoint>>(
                    [new PeerEndpoint(0, mine.NodeId, "unused"), new PeerEndpoint(1, mine.NodeId, "unused")]),
                ReserveSharedMemory = (_, _, _) => Task.FromResult(segment),
                Options = options,
            },
            cancellationToken);

    /// <summary>What the agent would give both ranks: memory of this process, under a path that the other one opens.</summary>
    internal static string Reserve(SharedMemorySegments segments) =>
        segments.Reserve("collectives", new SegmentLayout(2, new CollectiveOptions().ChunkBytes).TotalBytes);
}
