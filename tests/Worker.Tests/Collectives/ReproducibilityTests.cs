using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Sums of numbers that round are the same bit for bit: on every rank, in every repetition, wherever the ranks run.</summary>
public sealed class ReproducibilityTests
{
    private const int Size = 12_345; // several chunks of 4096 bytes, slices of unequal length

    [Theory]
    [InlineData(2, "aa", "ab")]
    [InlineData(3, "aaa", "abc", "aab", "abb", "aba")]
    [InlineData(4, "aaaa", "abcd", "aabb", "aaab", "abbc", "abab")]
    public void AllReduce_OfNumbersThatRound_IsTheSameBitForBitEverywhere(int worldSize, params string[] placements)
    {
        var expected = SumInRankOrder(worldSize);
        foreach (var placement in placements)
        {
            foreach (var oneStepBytes in (int[])[0, 0, 1 << 20]) // by slices, twice, and all to all
            {
                using var ranks = new Ranks(placement, new CollectiveOptions { ChunkBytes = 4096, OneStepBytes = oneStepBytes });
                var results = ranks.Run(group =>
                {
                    var values = Values(group.Rank);
                    group.AllReduce(values.AsSpan(), "sum");
                    return values;
                });
                foreach (var result in results)
                    MemoryMarshal.AsBytes<float>(result).SequenceEqual(MemoryMarshal.AsBytes<float>(expected))
                        .ShouldBeTrue($"placement {placement}");
            }
        }
    }

    [Fact]
    public void SumInRankOrder_DiffersFromOtherOrders()
    {
        // Otherwise the test above could not fail.
        var (a, b, c) = (Values(0), Values(1), Values(2));
        Enumerable.Range(0, Size).Count(i => (a[i] + b[i]) + c[i] != a[i] + (b[i] + c[i])).ShouldBeGreaterThan(Size / 10);
    }

    private static float[] Values(int rank)
    {
        var random = new Random(rank);
        return [.. Enumerable.Range(0, Size).Select(_ => (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-3, 4)))];
    }

    private static float[] SumInRankOrder(int worldSize)
    {
        var sum = Values(0);
        for (var rank = 1; rank < worldSize; rank++)
        {
            var values = Values(rank);
            for (var i = 0; i < Size; i++)
                sum[i] += values[i];
        }

        return sum;
    }
}
