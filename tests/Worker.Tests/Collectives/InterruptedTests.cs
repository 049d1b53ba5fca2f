using System.Diagnostics;
using System.Net;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// A peer that vanishes or falls silent in the midst of each operation, after its first byte, half-way and shortly before its end.
/// </summary>
public sealed class InterruptedTests
{
    private static readonly TimeSpan OperationTimeout = TimeSpan.FromSeconds(1);

    /// <summary>What the slowest rank may take beyond the operation's own time.</summary>
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(5);

    public static TheoryData<string, double> Short =>
        new() { { nameof(SomeOperation.AllReduce), 0.5 }, { nameof(SomeOperation.Message), 0.5 } };

    public static TheoryData<string, double> All
    {
        get
        {
            var cases = new TheoryData<string, double>();
            foreach (var operation in SomeOperation.Names)
            {
                foreach (var share in (double[])[0, 0.01, 0.5, 0.99])
                    cases.Add(operation, share);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Short))]
    public void AnOperation_WhenThePeerHangsUp_EndsOnBothRanksAndSaysWhich(string operation, double share) =>
        Interrupt(operation, share, hangUp: true);

    [Theory]
    [MemberData(nameof(Short))]
    public void AnOperation_WhenThePeerFallsSilent_EndsOnBothRanksAndSaysWhich(string operation, double share) =>
        Interrupt(operation, share, hangUp: false);

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(All))]
    public void EachOperation_WhenThePeerHangsUp_EndsOnBothRanksAndSaysWhich(string operation, double share) =>
        Interrupt(operation, share, hangUp: true);

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(All))]
    public void EachOperation_WhenThePeerFallsSilent_EndsOnBothRanksAndSaysWhich(string operation, double share) =>
        Interrupt(operation, share, hangUp: false);

    private static void Interrupt(string operation, double share, bool hangUp)
    {
        var options = new CollectiveOptions { OperationTimeout = OperationTimeout, ConnectTimeout = TimeSpan.FromSeconds(30) };
        Interruption? relay = null;
        using var ranks = new Ranks("ab", options)
        {
            OnPost = endpoint =>
            {
                if (endpoint.Rank != 0)
                    return endpoint;
                relay = new Interruption(IPEndPoint.Parse(endpoint.Address), hangUp);
                return endpoint with { Address = relay.EndPoint.ToString() };
            },
        };
        var times = new TimeSpan[2];
        var failures = ranks.RunToFailure(group =>
        {
            group.Barrier("before");
            if (group.Rank == 0)
                relay!.After(
                    SomeOperation.TrafficBytes(nameof(SomeOperation.Barrier)) + (long)(share * SomeOperation.TrafficBytes(operation)));
            group.Barrier("counted"); // nothing passes before the relay counts
            var began = Stopwatch.GetTimestamp();
            try
            {
                SomeOperation.Run(operation, group);
                group.Barrier("after"); // what was sent may have been taken by a socket
            }
            finally
            {
                times[group.Rank] = Stopwatch.GetElapsedTime(began);
            }
        });
        relay!.Dispose();
        for (var rank = 0; rank < 2; rank++)
        {
            var failure = failures[rank].ShouldBeOfType<CollectiveException>();
            failure.Peer.ShouldBe(1 - rank, failure.Message);
            failure.Message.ShouldContain("operation ");
            failure.Fault.ShouldBeOneOf(CollectiveFault.PeerLost, CollectiveFault.PeerLate, CollectiveFault.Aborted);
            times[rank].ShouldBeLessThan(OperationTimeout + LongestEnd);
        }
    }
}
