using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks as processes of their own, joined by shared memory alone.</summary>
public sealed class ProcessTests
{
    private const string RoleVariable = "CLUSTER_TEST_COLLECTIVE_ROLE";
    private const string FolderVariable = "CLUSTER_TEST_COLLECTIVE_FOLDER";
    private const int Elements = 300_001;

    [Fact]
    public async Task AllReduce_OfTwoProcesses_GivesBothTheSum()
    {
        using var folder = new TemporaryFolder();
        using var other = StartRank1("sum", folder.Path);
        using var group = await JoinAsync(0, folder.Path, TestContext.Current.CancellationToken);
        SumAndCheck(group);
        await other.WaitForExitAsync(TestContext.Current.CancellationToken);
        other.ExitCode.ShouldBe(0, await other.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task AllReduce_WhenThePeersProcessIsKilled_NamesItLongBeforeTheDeadline()
    {
        using var folder = new TemporaryFolder();
        using var other = StartRank1("wait", folder.Path);
        using var group = await JoinAsync(0, folder.Path, TestContext.Current.CancellationToken);
        SumAndCheck(group);
        other.Kill();
        var failure = Should.Throw<CollectiveException>(() => group.AllReduce<float>(new float[Elements], "gradients/1"));
        failure.Fault.ShouldBe(CollectiveFault.PeerLost);
        failure.Peer.ShouldBe(1);
        failure.Message.ShouldContain($"rank 1 is dead (process {other.Id.ToString(CultureInfo.InvariantCulture)}) in 'gradients/1'");
    }

    /// <summary>The other process is this test program again: with a role in its environment it is a rank instead of a test run.</summary>
    [ModuleInitializer]
    internal static void RunAsRankIfAsked()
    {
        if (Environment.GetEnvironmentVariable(RoleVariable) is not { } role)
            return;
        using var group = JoinAsync(1, Environment.GetEnvironmentVariable(FolderVariable)!, CancellationToken.None).GetAwaiter().GetResult();
        SumAndCheck(group);
        if (role == "wait")
            group.Barrier("until killed");
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

    private static Process StartRank1(string role, string folder)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(ProcessTests).Assembly.Location);
        start.Environment[RoleVariable] = role;
        start.Environment[FolderVariable] = folder;
        return Process.Start(start)!;
    }

    private static Task<ICollectiveGroup> JoinAsync(int rank, string folder, CancellationToken cancellationToken) => CollectiveGroup.JoinAsync(
        new CollectiveSetup
        {
            Rank = rank,
            WorldSize = 2,
            NodeId = "here",
            PeerHost = "127.0.0.1",
            Secret = "the attempt's secret",
            Rendezvous = (mine, _) => Task.FromResult<IReadOnlyList<PeerEndpoint>>(
                [new PeerEndpoint(0, mine.NodeId, "unused"), new PeerEndpoint(1, mine.NodeId, "unused")]),
            ReserveSharedMemory = (name, bytes, _) =>
            {
                var path = Path.Combine(folder, name);
                using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
                if (file.Length < bytes)
                    file.SetLength(bytes);
                return Task.FromResult(path);
            },
        },
        cancellationToken);

    private sealed class TemporaryFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("cluster-tests-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
