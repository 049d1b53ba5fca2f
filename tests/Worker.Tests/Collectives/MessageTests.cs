using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Messages that nobody waits for, as stages of a pipeline send them.</summary>
public sealed class MessageTests
{
    private const int Messages = 6;
    private const int Elements = 50_000; // more than a mailbox and than a socket take at once

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    [InlineData("aab")]
    [InlineData("abc")]
    public void SendAsyncAndReceiveAsync_PostedInTheWrongOrderOnAllRanks_StillArriveInOrder(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            // All receive first: on one thread in the order of the calls nobody would ever send.
            var next = (group.Rank + 1) % group.WorldSize;
            var previous = (group.Rank + group.WorldSize - 1) % group.WorldSize;
            using var inbox = new Pinned(Messages * Elements);
            using var outbox = new Pinned(Messages * Elements);
            for (var i = 0; i < outbox.Values.Length; i++)
                outbox.Values[i] = (group.Rank * 1000) + i;
            var received = Enumerable.Range(0, Messages)
                .Select(m => group.ReceiveAsync<float>(inbox.At(m * Elements), Elements, previous, $"activation/{m}")).ToArray();
            var sum = new float[] { 1 };
            group.AllReduce(sum.AsSpan(), "meanwhile"); // is not held up by what is awaited
            var sent = Enumerable.Range(0, Messages)
                .Select(m => group.SendAsync<float>(outbox.At(m * Elements), Elements, next, $"activation/{m}")).ToArray();

            Task.WaitAll([.. received, .. sent], TestContext.Current.CancellationToken);
            sum[0].ShouldBe(group.WorldSize);
            for (var i = 0; i < inbox.Values.Length; i++)
            {
                if (inbox.Values[i] != (previous * 1000) + i)
                    Assert.Fail($"rank {group.Rank}: element {i} is {inbox.Values[i]}");
            }
        });
    }

    [Theory]
    [InlineData("aaa")]
    [InlineData("abc")]
    [InlineData("aab")]
    public void ReceiveAsync_WhenTheSenderLeaves_FailsForAllAndNamesIt(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var inbox = new Pinned(10);
            switch (group.Rank)
            {
                case 0:
                    group.ReceiveAsync<float>(inbox.At(0), 10, 2, "from the one that leaves").GetAwaiter().GetResult();
                    break;
                case 1:
                    group.ReceiveAsync<float>(inbox.At(0), 10, 0, "from the one that waits").GetAwaiter().GetResult();
                    break;
            }
        });
        foreach (var failure in failures[..2])
        {
            var fault = failure.ShouldBeOfType<CollectiveException>();
            fault.Peer.ShouldBe(2, fault.Message);
        }
    }

    private sealed class Pinned(int length) : IDisposable
    {
        private readonly float[] values = GC.AllocateArray<float>(length, pinned: true);

        public float[] Values => values;

        public nint At(int index) => Marshal.UnsafeAddrOfPinnedArrayElement(values, index);

        public void Dispose() => GC.KeepAlive(values);
    }
}
