using System.Diagnostics;
using Cluster.Worker.Agent;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.SharedMemory;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// A process that is killed or stopped at a phase of an operation in shared memory; its peer watches the phases that it counts.
/// </summary>
public sealed class KilledTests
{
    private const int SigStop = 19;

    /// <summary>Longer than a peer on a busy machine takes to come, or it would be late before it is struck.</summary>
    private static readonly TimeSpan OperationTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(5);

    public static TheoryData<string, int> Short => new() { { nameof(SomeOperation.AllReduce), 3 } };

    public static TheoryData<string, int> All
    {
        get
        {
            var cases = new TheoryData<string, int>();
            foreach (var operation in SomeOperation.Names)
            {
                foreach (var phase in (int[])[0, 1, 4])
                    cases.Add(operation, phase);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Short))]
    public Task AnOperation_WhenThePeerIsKilled_EndsAndNamesIt(string operation, int phase) =>
        StrikeAsync(operation, phase, Libc.Sigkill, CollectiveFault.PeerLost);

    [Theory]
    [MemberData(nameof(Short))]
    public Task AnOperation_WhenThePeerIsStopped_EndsAndNamesIt(string operation, int phase) =>
        StrikeAsync(operation, phase, SigStop, CollectiveFault.PeerLate);

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(All))]
    public Task EachOperation_WhenThePeerIsKilled_EndsAndNamesIt(string operation, int phase) =>
        StrikeAsync(operation, phase, Libc.Sigkill, CollectiveFault.PeerLost);

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(All))]
    public Task EachOperation_WhenThePeerIsStopped_EndsAndNamesIt(string operation, int phase) =>
        StrikeAsync(operation, phase, SigStop, CollectiveFault.PeerLate);

    private static async Task StrikeAsync(string operation, int phase, int signal, CollectiveFault expected)
    {
        // A death is noticed without a deadline; without one here, to tell it from lateness.
        var options = new CollectiveOptions
        {
            OperationTimeout = expected == CollectiveFault.PeerLate ? OperationTimeout : TimeSpan.FromMinutes(5),
        };
        using var segments = new SharedMemorySegments(new MachineMemory());
        var path = ProcessTests.Reserve(segments);
        using var peer = ProcessTests.StartRank1(operation, path);
        try
        {
            using var group = await ProcessTests.JoinAsync(0, path, options, TestContext.Current.CancellationToken);
            using var over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            using var segment = new MappedFile(path, new SegmentLayout(2, options.ChunkBytes).TotalBytes);
            var strike = Task.Factory.StartNew(
                () => StrikeAt(segment, operation, phase, peer.Id, signal, over.Token), CancellationToken.None,
                TaskCreationOptions.LongRunning, TaskScheduler.Default);
            var failure = Should.Throw<CollectiveException>(() =>
            {
                while (true)
                    SomeOperation.Run(operation, group);
            });
            var ended = Stopwatch.GetTimestamp();
            await over.CancelAsync(); // if it failed before it was struck
            var struck = await strike;
            var allowed = (expected == CollectiveFault.PeerLate ? OperationTimeout : TimeSpan.Zero) + LongestEnd;
            Stopwatch.GetElapsedTime(struck, ended).ShouldBeLessThan(allowed);
            failure.Peer.ShouldBe(1, failure.Message);
            failure.Fault.ShouldBe(expected, failure.Message);
            failure.Message.ShouldContain("rank 1 ");
            failure.Message.ShouldContain("operation ");
        }
        finally
        {
            peer.Kill();
        }
    }

    /// <summary>Watches the other rank's own counter: of phases, or of portions that it has put in its mailbox.</summary>
    private static unsafe long StrikeAt(MappedFile segment, string operation, int phase, int processId, int signal, CancellationToken over)
    {
        var layout = new SegmentLayout(2, new CollectiveOptions().ChunkBytes);
        var counter = operation == nameof(SomeOperation.Message)
            ? &((MailboxHeader*)(segment.Start + layout.MailboxAt(1, 0)))->Filled
            : &((RankHeader*)(segment.Start + SegmentLayout.HeaderAt(1)))->Arrived;
        var before = Volatile.Read(ref *counter);
        while (Volatile.Read(ref *counter) < before + phase)
        {
            over.ThrowIfCancellationRequested();
            Thread.Yield();
        }

        Libc.TrySignal(processId, signal).ShouldBeTrue();
        return Stopwatch.GetTimestamp();
    }
}
