using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Cluster.Contracts.Tls;
using Cluster.Tests.Shared;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.Tcp;
using Cluster.Worker.Tests.Collectives.Nccl;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks of several nodes that encrypt what they exchange, and whom they refuse.</summary>
public sealed class EncryptedTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _other = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
    }

    [Theory]
    [InlineData("ab", "tcp+tls")]
    [InlineData("abc", "tcp+tls")]
    [InlineData("abab", "tcp+tls")]
    [InlineData("aab", "hierarchical+tls")]
    [InlineData("aa", "shared-memory")]
    public void Exchanges_GiveTheSameBitsAsPlainOnes(string placement, string transport)
    {
        using var plain = new Ranks(placement, Patient);
        using var encrypted = Encrypted(placement);
        encrypted.Run(group => group.Transport).ShouldAllBe(name => name == transport);

        var bits = encrypted.Run(Everything);

        bits.ShouldAllBe(each => each.Length > 1_000_000);
        var others = plain.Run(Everything);
        for (var rank = 0; rank < placement.Length; rank++)
            bits[rank].AsSpan().SequenceEqual(others[rank]).ShouldBeTrue();
    }

    /// <summary>As between the stages of a pipeline: each direction has a thread, and both are at it at once.</summary>
    [Fact]
    public void Messages_TravelBothWaysAtOnce()
    {
        const int Count = 300_001;
        using var ranks = Encrypted("ab");
        ranks.Run(group =>
        {
            var mine = Values(group.Rank, Count);
            var theirs = new float[Count];
            for (var round = 0; round < 5; round++)
            {
                var pins = new[] { GCHandle.Alloc(mine, GCHandleType.Pinned), GCHandle.Alloc(theirs, GCHandleType.Pinned) };
                Task.WaitAll(
                    [
                        group.SendAsync<float>(pins[0].AddrOfPinnedObject(), Count, 1 - group.Rank, "there"),
                        group.ReceiveAsync<float>(pins[1].AddrOfPinnedObject(), Count, 1 - group.Rank, "and back"),
                    ],
                    Cancelled);
                Array.ForEach(pins, pin => pin.Free());
                theirs.AsSpan().SequenceEqual(Values(1 - group.Rank, Count)).ShouldBeTrue();
            }
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WhoOwnsTheNetworkBetween_ReadsNothingOfWhatIsEncrypted(bool isEncrypted)
    {
        var told = "weights that are nobody else's "u8.ToArray();
        var overheard = new List<byte>();
        var relays = new List<TcpRelay>();
        using var ranks = Relayed("ab", isEncrypted, relays, passing =>
        {
            lock (overheard)
                overheard.AddRange(passing.Span);
        });

        ranks.Run(group =>
        {
            var values = group.Rank == 1 ? told : new byte[told.Length];
            group.Broadcast(values.AsSpan(), root: 1, "told");
            values.ShouldBe(told);
        });

        foreach (var relay in relays)
            await relay.DisposeAsync();
        overheard.Count.ShouldBeGreaterThan(told.Length);
        (CollectionsMarshal.AsSpan(overheard).IndexOf(told) >= 0).ShouldBe(!isEncrypted);
    }

    [Fact]
    public async Task BytesThatAreChangedOnTheWay_AreTakenForNobodys()
    {
        var relays = new List<TcpRelay>();
        var isChanging = false;
        using var ranks = Relayed("ab", isEncrypted: true, relays, passing => passing.Span[^1] ^= (byte)(isChanging ? 1 : 0));

        var failures = ranks.RunToFailure(group =>
        {
            group.Barrier("before");
            Volatile.Write(ref isChanging, true);
            group.AllReduce(Values(group.Rank, 100_000).AsSpan(), "changed");
            group.Barrier("after");
        });

        foreach (var relay in relays)
            await relay.DisposeAsync();
        failures.ShouldAllBe(failure => failure is CollectiveException);
        failures.ShouldContain(failure => failure!.Message.Contains("broke the connection", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("another authority's", "its certificate is not one of Tls:AuthorityFile's for a node, or has run out")]
    [InlineData("expired", "its certificate is not one of Tls:AuthorityFile's for a node, or has run out")]
    [InlineData("a scheduler's", "its certificate is not one of Tls:AuthorityFile's for a node, or has run out")]
    [InlineData("none", "it has no certificate")]
    public void RankWithAWrongCertificate_IsRefused_AndBothSay(string certificate, string reason)
    {
        // It believes the cluster's authority, so that it is the cluster's rank that refuses.
        using var ranks = new Ranks("ab", Impatient) { Certificates = rank => rank == 1 ? Wrong(certificate) : Node(_authority) };

        var failures = ranks.RunToFailure(group => group.Barrier("first"));

        Fault(failures[0]).ShouldContain("no connection with rank 1 of node b");
        Fault(failures[0]).ShouldContain($"; turned away was 127.0.0.1:");
        Fault(failures[0]).ShouldContain(reason);
        Fault(failures[1]).ShouldContain("rank 0 at tls://127.0.0.1:");
        Fault(failures[1]).ShouldEndWith("takes this node's certificate for none of a node of its authority");
    }

    [Fact]
    public void RankThatIsCalled_WithACertificateOfAnotherAuthority_IsRefused()
    {
        using var ranks = new Ranks("ab", Impatient) { Certificates = rank => rank == 0 ? Wrong("another authority's") : Node(_authority) };

        var failures = ranks.RunToFailure(group => group.Barrier("first"));

        Fault(failures[1]).ShouldContain(
            "cannot be trusted: its certificate is not one of Tls:AuthorityFile's for a node, or has run out");
        Fault(failures[0]).ShouldContain("no connection with rank 1");
    }

    /// <summary>A node's certificate does for that node alone: the rendezvous says where a rank is.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void RankAtAnAddressThatIsNotItsCertificates_IsRefused(int misplaced)
    {
        using var ranks = new Ranks("ab", Impatient)
        {
            Certificates = _ => Node(_authority),
            OnPost = endpoint => endpoint.Rank != misplaced ? endpoint : endpoint with
            {
                Address = endpoint.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal),
            },
        };

        var failures = ranks.RunToFailure(group => group.Barrier("first"));

        if (misplaced == 0)
            Fault(failures[1]).ShouldContain("cannot be trusted: its certificate is not for that address");
        else
            Fault(failures[0]).ShouldContain("its certificate is not for localhost, the address of rank 1");
    }

    [Fact]
    public void Secret_IsAskedForBesideTheCertificate()
    {
        using var ranks = new Ranks("ab", Impatient) { Certificates = _ => Node(_authority) };

        var failures = ranks.Collect(rank => Record.Exception(() => ranks.Join(rank, secret: "secret of rank " + rank)));

        Fault(failures[0]).ShouldContain("it does not know the attempt's secret");
        Fault(failures[1]).ShouldContain("refused this rank's proof of the attempt's secret");
    }

    [Fact]
    public void NodesThatDisagree_AreTold_AtOnceAndOnBoth()
    {
        using var ranks = new Ranks("ab", Patient) { Certificates = rank => rank == 1 ? Node(_authority) : null };

        var failures = ranks.RunToFailure(group => group.Barrier("first"));

        failures.ShouldAllBe(failure => Fault(failure)
            == "rank 1 of node b speaks TLS with its peers and rank 0 of node a plain text; set Agent:TrainerTls alike on both nodes");
    }

    /// <summary>Of one who knows the secret, and passes over what the rendezvous says.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task PlainPeer_IsRefused_WhoeverCalls(bool listenerEncrypts)
    {
        var (plain, encrypted) = (new PeerTrust("secret", certificates: null), new PeerTrust("secret", Node(_authority)));
        using var listener = new PeerListener(
            PeerAddress.Loopback, listenerEncrypts ? encrypted : plain, rank: 0, handshakeTimeout: TimeSpan.FromSeconds(1));
        var caller = new PeerEndpoint(1, "b", "tls://127.0.0.1:1");
        using var end = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(
            new Dictionary<(int, PeerChannel), PeerEndpoint> { [(1, PeerChannel.Collective)] = caller }, new(), end.Token);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.EndPoint, Cancelled);

        var calling = (listenerEncrypts ? plain : encrypted).ConnectAsync(
            socket, rank: 1, new PeerEndpoint(0, "a", $"tls://{listener.EndPoint}"), PeerChannel.Collective, Cancelled);

        await Should.ThrowAsync<System.Security.Authentication.AuthenticationException>(calling);
        while (listener.TurnedAway.Count == 0)
            await Task.Delay(10, Cancelled);
        if (listenerEncrypts)
            listener.TurnedAway.Single().ShouldEndWith("since it did not begin TLS in time");
        await end.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(accepting);
    }

    [Fact]
    public void RankThatGoesAway_IsNamed()
    {
        using var ranks = Encrypted("abc");

        var failures = ranks.RunToFailure(group =>
        {
            group.Barrier("joined");
            if (group.Rank != 2)
                group.AllReduce(Values(group.Rank, 200_000).AsSpan(), "without rank 2");
        });

        failures[..2].ShouldAllBe(failure => ((CollectiveException)failure!).Peer == 2);
    }

    /// <summary>NCCL encrypts nothing.</summary>
    [Fact]
    public void RanksWithGpus_ExchangeThroughTheCpusMemory()
    {
        Assert.SkipUnless(StandIn.CanBeBuilt, "g++ is missing");
        using var ranks = new Ranks("ab", StandIn.Options()) { CudaDevice = rank => rank, Certificates = _ => Node(_authority) };

        ranks.Run(group =>
        {
            group.Transport.ShouldBe("staged+tcp+tls");
            using var values = new DeviceValues<float>(group.Rank + 1);
            group.AllReduce(values.Span, "sum");
            values.Span[0].ShouldBe(3);
        });
    }

    [Fact]
    public void Setup_DoesNotSayItsSecret()
    {
        using var ranks = new Ranks("ab");

        ranks.Setup(1, "a secret").ToString().ShouldBe("CollectiveSetup { Rank = 1, WorldSize = 2, NodeId = b }");
    }

    private static CollectiveOptions Patient =>
        new() { OperationTimeout = TimeSpan.FromSeconds(30), ConnectTimeout = TimeSpan.FromSeconds(30), ChunkBytes = 64 << 10 };

    private static CollectiveOptions Impatient => new() { ConnectTimeout = TimeSpan.FromSeconds(3) };

    private static string Fault(Exception? failure)
    {
        var fault = failure.ShouldBeOfType<CollectiveException>();
        fault.Fault.ShouldBe(CollectiveFault.NotConnected);
        return fault.Message;
    }

    /// <summary>Of every kind, and around the sizes at which something changes: a record of TLS, a portion, a slice, a chunk.</summary>
    private static byte[] Everything(ICollectiveGroup group)
    {
        var bits = new List<byte>();
        foreach (var size in (int[])[0, 1, 5000, 16_384, 65_537, 300_007])
        {
            var values = Values(group.Rank, size);
            group.AllReduce(values.AsSpan(), $"sum/{size}");
            Keep(values);
            group.Broadcast(values.AsSpan(), group.WorldSize - 1, $"broadcast/{size}");
            var all = new float[size * group.WorldSize];
            group.AllGather<float>(Values(group.Rank, size), all, $"gather/{size}");
            Keep(all);
            group.ReduceScatter<float>(all, values, $"scatter/{size}");
            Keep(values);
        }

        return [.. bits];

        void Keep(float[] values) => bits.AddRange(MemoryMarshal.AsBytes<float>(values));
    }

    /// <summary>None that a float32 holds exactly, so that another order of the sum gives other bits.</summary>
    private static float[] Values(int rank, int size) => [.. Enumerable.Range(0, size).Select(i => (float)Math.Sin((rank * 7) + i + 1))];

    private static CertificateFiles Node(TestAuthority authority) => new(authority.Make(CertificateUnit.Node, $"node-{Guid.NewGuid():N}"));

    private CertificateFiles Wrong(string certificate)
    {
        var options = certificate switch
        {
            "another authority's" => _other.Make(CertificateUnit.Node),
            "expired" => _authority.Make(CertificateUnit.Node, "old", isExpired: true),
            "a scheduler's" => _authority.Make(CertificateUnit.Scheduler),
            _ => new TlsOptions(),
        };
        options.AuthorityFile = _authority.AuthorityFile;
        return new CertificateFiles(options);
    }

    private Ranks Encrypted(string placement) => new(placement, Patient) { Certificates = _ => Node(_authority) };

    private Ranks Relayed(string placement, bool isEncrypted, List<TcpRelay> relays, Action<Memory<byte>> passing) => new(
        placement, Patient)
    {
        Certificates = _ => isEncrypted ? Node(_authority) : null,
        OnPost = endpoint =>
        {
            var (_, port) = PeerAddress.Parse(endpoint.Address);
            var relay = TcpRelay.To(port);
            relay.Passing = passing;
            lock (relays)
                relays.Add(relay);
            return endpoint with { Address = endpoint.Address.Replace($":{port}", $":{relay.Port}", StringComparison.Ordinal) };
        },
    };
}
