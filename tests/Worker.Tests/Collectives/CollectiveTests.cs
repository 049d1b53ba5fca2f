using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// Every operation on every transport at every small world size, with whole numbers, so that results are compared exactly.
/// </summary>
public sealed class CollectiveTests
{
    /// <summary>Small enough that the sizes below need several chunks, several portions and leave remainders.</summary>
    private const int ChunkBytes = 4096;

    // Empty, one element, fewer than ranks, odd, around the small-message limit of 8 KiB, and several chunks with a remainder.
    private static readonly int[] Sizes = [0, 1, 3, 129, 2047, 2049, 10_007];

    public static TheoryData<string, string> Placements => new()
    {
        { "a", "single" },
        { "aa", "shared-memory" },
        { "aaa", "shared-memory" },
        { "aaaa", "shared-memory" },
        { "ab", "tcp" },
        { "abc", "tcp" },
        { "abcd", "tcp" },
        { "aab", "hierarchical" },
        { "abb", "hierarchical" },
        { "aabb", "hierarchical" },
        { "abbc", "hierarchical" },
        { "aaab", "hierarchical" },
        { "abab", "tcp" }, // ranks of a node are not consecutive: the chain over nodes would change the order of sums
    };

    [Theory]
    [MemberData(nameof(Placements))]
    public void Join_ByPlacement_ChoosesTheTransport(string placement, string transport)
    {
        using var ranks = Small(placement);
        ranks.Run(group => group.Transport).ShouldAllBe(t => t == transport);
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllReduce_OfFloats_GivesEveryRankTheSum(string placement, string transport) => AllReduce<float>(placement, transport);

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllReduce_OfDoubles_GivesEveryRankTheSum(string placement, string transport) => AllReduce<double>(placement, transport);

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllReduceAsync_QueuedBeforeABlockingCall_RunsFirstAndInOrder(string placement, string transport)
    {
        using var ranks = Small(placement);
        var results = ranks.Run(group =>
        {
            var buffers = Enumerable.Range(1, 5).Select(i => Values<float>(group.Rank, i * 1001)).ToArray();
            var pins = buffers.Select(b => GCHandle.Alloc(b, GCHandleType.Pinned)).ToArray();
            var tasks = buffers.Select((b, i) => group.AllReduceAsync<float>(pins[i].AddrOfPinnedObject(), b.Length, $"bucket/{i}"))
                .ToArray();
            var last = Values<float>(group.Rank, 7);
            group.AllReduce(last.AsSpan(), "blocking");
            tasks.ShouldAllBe(t => t.IsCompletedSuccessfully);
            Array.ForEach(pins, p => p.Free());
            return buffers.Append(last).ToArray();
        });
        foreach (var buffers in results)
        {
            for (var i = 0; i < 5; i++)
                buffers[i].ShouldBe(Sum<float>(ranks.WorldSize, (i + 1) * 1001), $"{transport}, bucket {i}");
            buffers[5].ShouldBe(Sum<float>(ranks.WorldSize, 7));
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void ReduceScatter_GivesEachRankItsPartOfTheSum(string placement, string transport)
    {
        using var ranks = Small(placement);
        foreach (var size in Sizes)
        {
            var parts = ranks.Run(group =>
            {
                var part = new float[size];
                group.ReduceScatter<float>(Values<float>(group.Rank, size * group.WorldSize), part, "scatter");
                return part;
            });
            parts.SelectMany(p => p).ToArray().ShouldBe(Sum<float>(ranks.WorldSize, size * ranks.WorldSize), $"{transport}, {size}");
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void AllGather_GivesEveryRankAllPartsInOrder(string placement, string transport)
    {
        using var ranks = Small(placement);
        foreach (var size in Sizes)
        {
            var expected = Enumerable.Range(0, ranks.WorldSize).SelectMany(r => Values<double>(r, size)).ToArray();
            var gathered = ranks.Run(group =>
            {
                var all = new double[size * group.WorldSize];
                group.AllGather<double>(Values<double>(group.Rank, size), all, "gather");
                return all;
            });
            gathered.ShouldAllBe(all => all.SequenceEqual(expected), $"{transport}, {size}");
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void Broadcast_FromEachRoot_GivesEveryRankTheRootsValues(string placement, string transport)
    {
        using var ranks = Small(placement);
        foreach (var size in Sizes)
        {
            var seen = ranks.Run(group => Enumerable.Range(0, group.WorldSize).Select(root =>
            {
                var values = Values<float>(group.Rank, size);
                group.Broadcast(values.AsSpan(), root, "weights");
                return values;
            }).ToArray());
            for (var root = 0; root < ranks.WorldSize; root++)
                seen.ShouldAllBe(s => s[root].SequenceEqual(Values<float>(root, size)), $"{transport}, {size}, root {root}");
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void SendAndReceive_RoundARing_DeliverInOrder(string placement, string transport)
    {
        using var ranks = Small(placement);
        if (ranks.WorldSize == 1)
            return;
        foreach (var size in Sizes.Append(40_000)) // more than a mailbox holds
        {
            var received = ranks.Run(group =>
            {
                var next = (group.Rank + 1) % group.WorldSize;
                var previous = (group.Rank + group.WorldSize - 1) % group.WorldSize;
                var values = new float[size];
                if (group.Rank == 0)
                {
                    group.Send<float>(Values<float>(0, size), next, "ring");
                    group.Receive(values.AsSpan(), previous, "ring");
                }
                else
                {
                    group.Receive(values.AsSpan(), previous, "ring");
                    group.Send<float>(values, next, "ring");
                }

                return values;
            });
            received.ShouldAllBe(v => v.SequenceEqual(Values<float>(0, size)), $"{transport}, {size}");
        }
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void Barrier_LetsNobodyThroughBeforeAllHaveCome(string placement, string transport)
    {
        using var ranks = Small(placement);
        var arrived = 0;
        var seen = ranks.Run(group => Enumerable.Range(1, 20).Select(round =>
        {
            Interlocked.Increment(ref arrived);
            group.Barrier("round");
            var then = Volatile.Read(ref arrived);
            group.Barrier("read");
            return then == round * group.WorldSize;
        }).ToArray());
        seen.ShouldAllBe(rounds => rounds.All(ok => ok), transport);
    }

    [Theory]
    [MemberData(nameof(Placements))]
    public void Operations_OneAfterAnother_DoNotDisturbEachOther(string placement, string transport)
    {
        using var ranks = Small(placement);
        ranks.Run(group =>
        {
            for (var round = 0; round < 30; round++)
            {
                var size = 1 + (round * 173 % 3000);
                var sum = Values<double>(group.Rank, size);
                group.AllReduce(sum.AsSpan(), "sum");
                sum.ShouldBe(Sum<double>(group.WorldSize, size), transport);
                var values = Values<float>(group.Rank, size);
                group.Broadcast(values.AsSpan(), round % group.WorldSize, "broadcast");
                values.ShouldBe(Values<float>(round % group.WorldSize, size));
                group.Barrier("barrier");
            }
        });
    }

    [Theory]
    [InlineData("aaa", 0)]
    [InlineData("aaa", 100)]
    [InlineData("abc", 0)]
    public void AllReduce_WhetherRanksSleepAtOnceOrSpinLong_GivesTheSum(string placement, int milliseconds)
    {
        using var ranks = new Ranks(placement, new CollectiveOptions { SpinTime = TimeSpan.FromMilliseconds(milliseconds) });
        ranks.Run(group =>
        {
            for (var round = 0; round < 20; round++)
            {
                var values = Values<float>(group.Rank, 1000);
                group.AllReduce(values.AsSpan(), "sum");
                values.ShouldBe(Sum<float>(group.WorldSize, 1000));
            }
        });
    }

    private static void AllReduce<T>(string placement, string transport)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        using var ranks = Small(placement);
        var results = ranks.Run(group => Sizes.Select(size =>
        {
            var values = Values<T>(group.Rank, size);
            group.AllReduce(values.AsSpan(), $"sum/{size}");
            return values;
        }).ToArray());
        foreach (var result in results)
        {
            for (var i = 0; i < Sizes.Length; i++)
                result[i].ShouldBe(Sum<T>(ranks.WorldSize, Sizes[i]), $"{transport}, {Sizes[i]} elements");
        }
    }

    private static Ranks Small(string placement) => new(
        placement, new CollectiveOptions
        {
            ChunkBytes = ChunkBytes,
            OneStepBytes = ChunkBytes,
            OperationTimeout = TimeSpan.FromSeconds(30),
            ConnectTimeout = TimeSpan.FromSeconds(30),
        });

    /// <summary>
    /// Whole numbers that differ by rank and by place; sums of four stay far below 2²⁴, where float32 still counts by ones.
    /// </summary>
    private static T[] Values<T>(int rank, int size)
        where T : System.Numerics.INumber<T> =>
        [.. Enumerable.Range(0, size).Select(i => T.CreateChecked(((rank + 1) * 1000) + (i * 7 % 991)))];

    private static T[] Sum<T>(int worldSize, int size)
        where T : System.Numerics.INumber<T>
    {
        var sum = new T[size];
        for (var rank = 0; rank < worldSize; rank++)
        {
            var values = Values<T>(rank, size);
            for (var i = 0; i < size; i++)
                sum[i] += values[i];
        }

        return sum;
    }
}
