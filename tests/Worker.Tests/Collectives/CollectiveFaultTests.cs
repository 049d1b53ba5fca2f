using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.Tcp;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>A rank that dies, dawdles or does something else is named by all others, with the operation and the time.</summary>
public sealed class CollectiveFaultTests
{
    private const int Culprit = 1;

    public static TheoryData<string> Placements => ["aa", "aaa", "ab", "abc", "aab", "aabb", "abb"];

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllReduce_WhenAPeerHasLeft_NamesItAndTheOperation(string placement)
    {
        using var ranks = new Ranks(placement, Patient);
        var failures = ranks.RunToFailure(group =>
        {
            group.AllReduce<float>(new float[100], "warm-up");
            if (group.Rank != Culprit)
                group.AllReduce<float>(new float[100_000], "gradients/3");
        });
        foreach (var failure in OthersOf(failures))
        {
            failure.Peer.ShouldBe(Culprit, failure.Message);
            failure.Operation.ShouldBe("gradients/3");
            failure.Fault.ShouldBeOneOf(CollectiveFault.PeerLost, CollectiveFault.Aborted);
            failure.Message.ShouldContain("rank 1 ");
            failure.Message.ShouldContain("'gradients/3'");
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllReduce_WhenAPeerIsLate_NamesItAndTheTime(string placement)
    {
        using var ranks = new Ranks(placement, Impatient);
        using var othersFailed = new CountdownEvent(ranks.WorldSize - 1);
        var failures = ranks.RunToFailure(group =>
        {
            if (group.Rank == Culprit)
            {
                othersFailed.Wait(TestContext.Current.CancellationToken);
                return;
            }

            try
            {
                group.AllReduce<double>(new double[100_000], "gradients/0");
            }
            finally
            {
                othersFailed.Signal();
            }
        });
        foreach (var failure in OthersOf(failures))
        {
            failure.Peer.ShouldBe(Culprit, failure.Message);
            failure.Fault.ShouldBeOneOf(CollectiveFault.PeerLate, CollectiveFault.Aborted);
            if (failure.Fault == CollectiveFault.PeerLate)
            {
                failure.Waited.ShouldBeGreaterThanOrEqualTo(Impatient.OperationTimeout);
                failure.Message.ShouldStartWith("rank 1 did not come within ");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void ReduceScatterInPlace_WhenAPeerIsLate_NamesItAndTheOperation(string placement) => InPlace(
        placement, (group, values) => group.ReduceScatterAsync<double>(values, 100_001, "gradients/2"),
        "'gradients/2'", "a reduce-scatter of 800008 bytes (sum of float64), operation 1 ");

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllGatherInPlace_WhenAPeerIsLate_NamesItAndTheOperation(string placement) => InPlace(
        placement, (group, values) => group.AllGatherAsync<double>(values, 100_001, "parameters/2"),
        "'parameters/2'", "an all-gather of 800008 bytes, operation 1 ");

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    [InlineData("abc")]
    public void AllReduce_WhenAPeerBroadcasts_SaysThatItIsOutOfStep(string placement)
    {
        using var ranks = new Ranks(placement, Patient);
        var failures = ranks.RunToFailure(group =>
        {
            if (group.Rank == Culprit)
                group.Broadcast<float>(new float[7], root: Culprit, "weights");
            else
                group.AllReduce<float>(new float[10], "gradients/0");
        });
        var first = failures[0].ShouldBeOfType<CollectiveException>();
        first.Fault.ShouldBe(CollectiveFault.OutOfStep);
        first.Message.ShouldContain("rank 1 is out of step: it makes a broadcast of 28 bytes where this rank makes an all-reduce of 40");
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void Receive_OfAnotherSizeThanWasSent_SaysThatThePeerIsOutOfStep(string placement)
    {
        using var ranks = new Ranks(placement, Patient);
        var failures = ranks.RunToFailure(group =>
        {
            if (group.Rank == Culprit)
                group.Send<float>(new float[7], 0, "message");
            else
                group.Receive<float>(new float[8], Culprit, "message");
        });
        failures[0].ShouldBeOfType<CollectiveException>().Fault.ShouldBe(CollectiveFault.OutOfStep);
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void Receive_WhenTheSenderHasLeft_NamesIt(string placement)
    {
        using var ranks = new Ranks(placement, Patient);
        var failures = ranks.RunToFailure(group =>
        {
            if (group.Rank != Culprit)
                group.Receive<float>(new float[8], Culprit, "activations");
        });
        var failure = failures[0].ShouldBeOfType<CollectiveException>();
        failure.Fault.ShouldBe(CollectiveFault.PeerLost);
        failure.Peer.ShouldBe(Culprit);
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void AnyCall_AfterAFault_RepeatsItAtOnce(string placement)
    {
        using var ranks = new Ranks(placement, Patient);
        ranks.Run(group =>
        {
            if (group.Rank == Culprit)
                return;
            var first = Should.Throw<CollectiveException>(() => group.Barrier("epoch"));
            var second = Should.Throw<CollectiveException>(() => group.Broadcast<byte>(new byte[1], 0, "later"));
            second.InnerException.ShouldBeSameAs(first);
            second.Peer.ShouldBe(Culprit);
            var asynchronous = Should.Throw<CollectiveException>(
                () => group.AllReduceAsync<float>(0, 0, "later still").GetAwaiter().GetResult());
            asynchronous.InnerException.ShouldBeSameAs(first);
        });
    }

    [Fact]
    public void Join_WithAnotherSecret_ConnectsNeitherSide()
    {
        using var ranks = new Ranks("ab", new CollectiveOptions { ConnectTimeout = TimeSpan.FromSeconds(1) });
        var failures = ranks.Collect(rank => Record.Exception(() => ranks.Join(rank, secret: "secret of rank " + rank)));
        failures[0].ShouldBeOfType<CollectiveException>().Message.ShouldContain("no connection with rank 1");
        failures[1].ShouldBeOfType<CollectiveException>().Message.ShouldContain("rank 0 at 127.0.0.1:");
        failures.ShouldAllBe(f => ((CollectiveException)f!).Fault == CollectiveFault.NotConnected);
    }

    [Fact]
    public void Join_WhenARankNeverComes_FailsInTimeAndSaysSo()
    {
        using var ranks = new Ranks("ab", new CollectiveOptions { ConnectTimeout = TimeSpan.FromSeconds(0.2) });
        // Rank 1 has told its address, and comes no further.
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var setup = ranks.Setup(0) with
        {
            Rendezvous = (mine, _) =>
                Task.FromResult<IReadOnlyList<PeerEndpoint>>([mine, new PeerEndpoint(1, "b", $"{silent.LocalEndpoint}")]),
        };

        var failure = Should.Throw<CollectiveException>(() => CollectiveGroup.JoinAsync(setup, TestContext.Current.CancellationToken));

        failure.Fault.ShouldBe(CollectiveFault.NotConnected);
        failure.Message.ShouldContain("rank 0 did not reach all its peers within 0.2 s");
    }

    /// <summary>Whoever lists a large data set comes late; how long that may take is the scheduler's to say.</summary>
    [Fact]
    public void Join_WhenARankComesLate_WaitsForItAndConnects()
    {
        using var ranks = new Ranks("ab", new CollectiveOptions { ConnectTimeout = TimeSpan.FromSeconds(10) });

        ranks.Collect(rank =>
        {
            if (rank == 1)
                Thread.Sleep(TimeSpan.FromSeconds(10.5)); // longer than the others may take to connect
            using var group = ranks.Join(rank);
            group.Barrier("joined");
            return true;
        }).ShouldBe([true, true]);
    }

    [Fact]
    public void Join_WhenStrangersComeFirst_TurnsThemAwayAndConnectsThePeers()
    {
        var strangers = new List<Socket>();
        using var ranks = new Ranks("abc", Patient)
        {
            OnPost = endpoint =>
            {
                if (endpoint.Rank == 0)
                    strangers.AddRange(Molest(IPEndPoint.Parse(endpoint.Address)));
                return endpoint;
            },
        };
        var sums = ranks.Run(group =>
        {
            var values = new float[] { group.Rank };
            group.AllReduce(values.AsSpan(), "sum");
            return values[0];
        });
        sums.ShouldAllBe(sum => sum == 3);
        strangers.Count.ShouldBe(4);
        strangers.ForEach(s => s.Dispose());
    }

    [Fact]
    public async Task Accept_OfAStrangerWhoSaysNothing_HangsUpInTime()
    {
        using var listener = new PeerListener(
            PeerAddress.Loopback, new PeerTrust("secret", certificates: null), rank: 0, handshakeTimeout: TimeSpan.FromSeconds(5));
        var expected = new Dictionary<(int, PeerChannel), PeerEndpoint> { [(1, PeerChannel.Collective)] = new(1, "b", "127.0.0.1:1") };
        using var end = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(expected, new(), end.Token);
        using var stranger = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await stranger.ConnectAsync(listener.EndPoint, TestContext.Current.CancellationToken);
        var heard = 0;
        for (var some = -1; some != 0; heard += some)
            some = await stranger.ReceiveAsync(new byte[1000], SocketFlags.None, TestContext.Current.CancellationToken);
        heard.ShouldBe(40); // the greeting and a challenge, then the end
        await end.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(accepting);
    }

    /// <summary>
    /// One who says nothing, one who talks nonsense, one who hangs up, and one who gives half an answer with a wrong proof.
    /// </summary>
    private static IEnumerable<Socket> Molest(IPEndPoint port)
    {
        byte[][] words = [[], [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 37))], [1],
            [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, .. new byte[64]]];
        foreach (var (i, word) in words.Index())
        {
            var socket = new Socket(port.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Connect(port);
            socket.Send(word);
            if (i == 2)
                socket.Shutdown(SocketShutdown.Both);
            yield return socket;
        }
    }

    private static CollectiveOptions Patient =>
        new() { OperationTimeout = TimeSpan.FromSeconds(30), ConnectTimeout = TimeSpan.FromSeconds(30) };

    // Longer than the others take to come on a busy machine, or one of them would be late as well.
    private static CollectiveOptions Impatient =>
        new() { OperationTimeout = TimeSpan.FromSeconds(3), ConnectTimeout = TimeSpan.FromSeconds(30) };

    private static void InPlace(string placement, Func<ICollectiveGroup, nint, Task> begin, params string[] words)
    {
        using var ranks = new Ranks(placement, Impatient);
        using var othersFailed = new CountdownEvent(ranks.WorldSize - 1);
        var failures = ranks.RunToFailure(group =>
        {
            if (group.Rank == Culprit)
            {
                othersFailed.Wait(TestContext.Current.CancellationToken);
                return;
            }

            var values = GCHandle.Alloc(new double[100_001], GCHandleType.Pinned);
            try
            {
                begin(group, values.AddrOfPinnedObject()).GetAwaiter().GetResult();
            }
            finally
            {
                values.Free();
                othersFailed.Signal();
            }
        });
        foreach (var failure in OthersOf(failures))
        {
            failure.Peer.ShouldBe(Culprit, failure.Message);
            failure.Fault.ShouldBeOneOf(CollectiveFault.PeerLate, CollectiveFault.Aborted);
            foreach (var word in words)
                failure.Message.ShouldContain(word);
        }
    }

    private static IEnumerable<CollectiveException> OthersOf(Exception?[] failures)
    {
        failures[Culprit].ShouldBeNull();
        return failures.Where((_, rank) => rank != Culprit).Select(f => f.ShouldBeOfType<CollectiveException>());
    }
}
