using System.Net;
using Cluster.Tests.Shared;
using Cluster.Worker.Collectives;
using Cluster.Worker.Collectives.Tcp;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks whose nodes are reached by addresses that the nodes themselves do not have.</summary>
public sealed class AddressTests
{
    /// <summary>RFC 5737: documentation's own; nobody answers there.</summary>
    private const string Nowhere = "192.0.2.1";

    private static readonly IPAddress Outside = IPAddress.Parse("127.0.0.2");

    [Theory]
    [InlineData("ab", 1)]
    [InlineData("aba", 2)] // not ranks 0 and 2
    [InlineData("aab", 2)] // not ranks 0 and 1
    public async Task Ranks_BehindAMapping_ReachOtherNodesThroughIt_AndTheirOwnNodeWithoutIt(string placement, int pairs)
    {
        var first = FreePorts.Take(placement.Length);
        var last = first + placement.Length - 1;
        var relays = Enumerable.Range(first, placement.Length).Select(port => TcpRelay.To(port, new IPEndPoint(Outside, port))).ToList();
        var mapped = new PeerAddress(IPAddress.Loopback, Outside.ToString()) { Ports = (first, last) };
        using var ranks = new Ranks(placement) { PeerAddress = mapped };

        ranks.Run(Sum).ShouldAllBe(sum => sum == Enumerable.Range(0, placement.Length).Sum());

        relays.Sum(relay => relay.Connections).ShouldBe(pairs * Enum.GetValues<PeerChannel>().Length);
        foreach (var relay in relays)
            await relay.DisposeAsync();
    }

    [Theory]
    [InlineData("0.0.0.0", "127.0.0.2")]
    [InlineData("0.0.0.0", "localhost")]
    [InlineData("::", "::1")]
    [InlineData("::", "127.0.0.2")]
    public void Ranks_ThatListenOnAllAddresses_AreFoundByTheOneThatIsTold(string listen, string told)
    {
        using var ranks = new Ranks("aba") { PeerAddress = new PeerAddress(IPAddress.Parse(listen), told) };

        ranks.Run(Sum).ShouldAllBe(sum => sum == 3);
    }

    [Fact]
    public void Ranks_OfOneNode_NeedNoAddress()
    {
        using var ranks = new Ranks("aaa") { PeerAddress = null };

        ranks.Run(Sum).ShouldAllBe(sum => sum == 3);
    }

    [Theory]
    [InlineData(Nowhere)]
    [InlineData("no-such-host.invalid")]
    public void Address_AtWhichNobodyIsReached_IsSaidWithItsNode(string told)
    {
        var posted = new PeerEndpoint[2];
        using var ranks = new Ranks("ab", new CollectiveOptions { ConnectTimeout = TimeSpan.FromSeconds(1) })
        {
            PeerAddress = new PeerAddress(IPAddress.Loopback, told),
            OnPost = endpoint => posted[endpoint.Rank] = endpoint with { NodeName = $"worker-{endpoint.NodeId}" },
        };

        var failures = ranks.RunToFailure(group => group.Barrier("first"));

        posted[0].Address.ShouldStartWith(told + ":");
        failures.ShouldAllBe(failure => ((CollectiveException)failure!).Fault == CollectiveFault.NotConnected);
        failures[1]!.Message.ShouldContain($"rank 0 at {posted[0].Address} of node worker-a");
        failures[0]!.Message.ShouldContain($"rank 1 of node worker-b, which was to call {posted[0].Address}");
    }

    [Fact]
    public void Port_IsOneOfThoseGiven_OrItIsSaidThatNoneIsFree()
    {
        var first = FreePorts.Take();
        var address = PeerAddress.Loopback with { Ports = (first, first) };
        using var listener = ListenOn(address, rank: 0);

        listener.Told.ShouldBe($"127.0.0.1:{first}");
        Should.Throw<IOException>(() => ListenOn(address, rank: 1)).Message.ShouldBe(
            $"Agent:TrainerPorts is {first}-{first}, of which none is free on 127.0.0.1; give one for each device at least");
    }

    [Fact]
    public void Listening_OnAnAddressThatTheMachineDoesNotHave_NamesTheSetting()
    {
        var address = new PeerAddress(IPAddress.Parse(Nowhere), Nowhere);

        Should.Throw<IOException>(() => ListenOn(address, rank: 0))
            .Message.ShouldStartWith($"cannot listen on {Nowhere}, the address of Agent:ListenAddress (");
    }

    private static PeerListener ListenOn(PeerAddress address, int rank) =>
        new(address, new PeerTrust("secret", certificates: null), rank, TimeSpan.FromSeconds(1));

    private static float Sum(ICollectiveGroup group)
    {
        var values = new float[] { group.Rank };
        group.AllReduce(values.AsSpan(), "sum");
        return values[0];
    }
}
