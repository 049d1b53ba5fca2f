using System.Net;
using System.Numerics;
using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// Values of which each rank reduces and keeps a share, and which all ranks then have again: what a divided optimizer does instead of an
/// all-reduce.
/// </summary>
public sealed class ShareTests
{
    /// <summary>Small enough that the larger sizes need several chunks and leave remainders.</summary>
    private const int ChunkBytes = 4096;

    // Empty, fewer elements than ranks, odd, and several chunks, divisible by no number of ranks but one.
    private static readonly int[] Sizes = [0, 1, 3, 129, 12_347];

    public static TheoryData<string> Placements =>
        ["a", "aa", "aaa", "aaaa", "ab", "abc", "abcd", "aab", "abb", "aabb", "abbc", "aaab", "aabbcc", "abab"];

    [Theory]
    [MemberData(nameof(Placements))]
    public void ReduceScatterThenAllGather_OfNumbersThatRound_GiveTheBitsOfAnAllReduce(string placement)
    {
        using var ranks = new Ranks(placement, Options());
        ranks.Run(group =>
        {
            foreach (var size in Sizes)
            {
                Compare<float>(group, size);
                Compare<double>(group, size);
            }
        });
    }

    /// <summary>With shares that are read in the memory of the peers, several under way.</summary>
    [Theory]
    [InlineData("aa")]
    [InlineData("aaa")]
    [InlineData("aaaa")]
    public void ReduceScatter_WithinASharedBuffer_GivesTheBitsOfAnAllReduceAndTakesNothingElse(string placement)
    {
        using var ranks = new Ranks(placement, Options());
        ranks.Run(group =>
        {
            const int Size = 12_347;
            using var mine = new MappedBuffer(group, 2 * Size * sizeof(float));
            var values = mine.Span<float>();
            for (var round = 0; round < 3; round++)
            {
                var own = Values<float>(group.Rank, 2 * Size, round);
                own.CopyTo(values);
                Task.WaitAll(
                    group.ReduceScatterAsync<float>(mine.Address, Size, "gradients/0"),
                    group.ReduceScatterAsync<float>(mine.Address + (Size * sizeof(float)), Size, "gradients/1"));
                var sums = own.ToArray();
                group.AllReduce(sums.AsSpan(), "all");
                for (var piece = 0; piece < 2; piece++)
                {
                    var (start, count) = Shares.Of(Size, group.WorldSize)[group.Rank];
                    var share = ((piece * Size) + (int)start)..((piece * Size) + (int)(start + count));
                    Bits<float>(values[share]).ShouldBe(Bits<float>(sums.AsSpan(share)));
                }
            }
        });
    }

    /// <summary>A step's exchange must cost no more where the optimizer is divided: to the byte, headers included.</summary>
    [Theory]
    [InlineData("ab")]
    [InlineData("abc")]
    [InlineData("abcd")]
    public void ReduceScatterAndAllGather_SendNoMoreThanAnAllReduce(string placement)
    {
        var (reduced, scattered, gathered) = Traffic(placement);

        var values = 2L * (placement.Length - 1) * LargeSize * sizeof(float); // every share to its rank and from there, by each other rank
        (scattered + gathered).ShouldBeLessThanOrEqualTo(reduced);
        (scattered + gathered).ShouldBeInRange(values, values + (values / 100));
    }

    /// <summary>The chain over nodes ends at the last, from where the sums of the others' shares have to go back.</summary>
    [Theory]
    [InlineData("aabb", 2)]
    [InlineData("aabbcc", 3)]
    public void ReduceScatterAndAllGather_OverNodesOfSeveralRanks_SendWhatTheChainNeeds(string placement, int nodes)
    {
        var (_, scattered, gathered) = Traffic(placement);

        const long Whole = LargeSize * sizeof(float);
        var back = Whole * (nodes - 1) / nodes;
        scattered.ShouldBeInRange(((nodes - 1) * Whole) + back, (long)(1.01 * (((nodes - 1) * Whole) + back)));
        gathered.ShouldBeInRange((nodes - 1) * Whole, (long)(1.01 * (nodes - 1) * Whole));
    }

    private const int LargeSize = 240_000; // divisible by every number of ranks here

    /// <summary>Bytes that the ranks of different nodes send each other, all together.</summary>
    private static (long Reduced, long Scattered, long Gathered) Traffic(string placement)
    {
        var relays = new List<Interruption>();
        using var ranks = new Ranks(placement, Options())
        {
            OnPost = endpoint =>
            {
                var relay = new Interruption(IPEndPoint.Parse(endpoint.Address), hangUp: true);
                lock (relays)
                    relays.Add(relay);
                return endpoint with { Address = relay.EndPoint.ToString() };
            },
        };
        using var together = new Barrier(placement.Length);
        var traffic = ranks.Run(group =>
        {
            var pin = GCHandle.Alloc(new float[LargeSize], GCHandleType.Pinned);
            var values = pin.AddrOfPinnedObject();
            var counts = new[]
            {
                Count(() => group.AllReduceAsync<float>(values, LargeSize, "sum")),
                Count(() => group.ReduceScatterAsync<float>(values, LargeSize, "scatter")),
                Count(() => group.AllGatherAsync<float>(values, LargeSize, "gather")),
            };
            pin.Free();
            return counts;
        })[0];
        relays.ForEach(relay => relay.Dispose());
        return (traffic[0], traffic[1], traffic[2]);

        // What a rank has received has passed, and between the meetings nobody sends anything else.
        long Count(Func<Task> exchange)
        {
            together.SignalAndWait(TestContext.Current.CancellationToken);
            var before = relays.Sum(relay => relay.Passed);
            together.SignalAndWait(TestContext.Current.CancellationToken);
            exchange().GetAwaiter().GetResult();
            together.SignalAndWait(TestContext.Current.CancellationToken);
            return relays.Sum(relay => relay.Passed) - before;
        }
    }

    private static void Compare<T>(ICollectiveGroup group, int size)
        where T : unmanaged, INumber<T>
    {
        var (own, values) = (Values<T>(group.Rank, size), Values<T>(group.Rank, size));
        var sums = Values<T>(group.Rank, size);
        group.AllReduce(sums.AsSpan(), "all");
        var pin = GCHandle.Alloc(values, GCHandleType.Pinned);
        group.ReduceScatterAsync<T>(pin.AddrOfPinnedObject(), size, "scatter").GetAwaiter().GetResult();
        var (start, count) = Shares.Of(size, group.WorldSize)[group.Rank];
        var share = (int)start..(int)(start + count);
        Bits<T>(values.AsSpan(share)).ShouldBe(Bits<T>(sums.AsSpan(share)), $"{typeof(T).Name}, {size}");

        // All that is not this rank's must come from the others.
        for (var i = 0; i < size; i++)
            values[i] = i >= start && i < start + count ? values[i] : T.CreateChecked(-1);
        group.AllGatherAsync<T>(pin.AddrOfPinnedObject(), size, "gather").GetAwaiter().GetResult();
        pin.Free();
        Bits<T>(values).ShouldBe(Bits<T>(sums), $"{typeof(T).Name}, {size}");
        if (group.WorldSize > 1 && size > 0)
            values.ShouldNotBe(own);
    }

    private static CollectiveOptions Options() => new()
    {
        ChunkBytes = ChunkBytes,
        OneStepBytes = ChunkBytes,
        OperationTimeout = TimeSpan.FromSeconds(60),
        ConnectTimeout = TimeSpan.FromSeconds(60),
    };

    private static byte[] Bits<T>(ReadOnlySpan<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values).ToArray();

    private static T[] Values<T>(int rank, int size, int round = 0)
        where T : INumber<T>
    {
        var random = new Random((round * 100) + rank);
        return [.. Enumerable.Range(0, size).Select(_ => T.CreateChecked((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 4))))];
    }
}
