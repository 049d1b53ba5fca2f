using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Float32 that travels as bfloat16.</summary>
public sealed class WireFormatTests
{
    private const int Size = 20_011; // many chunks of slices, with a remainder

    [Theory]
    [InlineData("ab")]
    [InlineData("abc")]
    [InlineData("abcd")]
    [InlineData("aab")]
    [InlineData("aabb")]
    public void AllReduce_OverBFloat16_IsTheSameOnAllRanksAndWithinItsRounding(string placement)
    {
        using var ranks = Narrow(placement);
        var results = ranks.Run(group =>
        {
            var values = Values(group.Rank);
            group.AllReduce(values.AsSpan(), "sum");
            return values;
        });
        Array.TrueForAll(results, r => MemoryMarshal.AsBytes<float>(r).SequenceEqual(MemoryMarshal.AsBytes<float>(results[0])))
            .ShouldBeTrue();
        var inputs = Enumerable.Range(0, ranks.WorldSize).Select(Values).ToArray();
        for (var i = 0; i < Size; i++)
        {
            // What a rank or a node sends is rounded once and so is the result, by at most 2⁻⁸ of what they are; float32's own rounding is
            // lost in the factor.
            var exact = inputs.Sum(values => (double)values[i]);
            var magnitude = inputs.Sum(values => Math.Abs((double)values[i]));
            Math.Abs(results[0][i] - exact).ShouldBeLessThanOrEqualTo(1.01 * 2 * magnitude / 256, $"element {i}");
        }
    }

    [Theory]
    [InlineData("ab")]
    [InlineData("aab")]
    public void AllReduce_OverBFloat16_RoundsWhatOtherwiseWouldNot(string placement)
    {
        // 1 + 2⁻¹⁰ needs ten bits behind the point; bfloat16 has seven.
        var value = 1 + MathF.Pow(2, -10);
        float[] Sum(WireFormat format)
        {
            using var ranks = Narrow(placement, format);
            return ranks.Run(group =>
            {
                var values = Enumerable.Repeat(group.Rank == 0 ? value : 0, Size).ToArray();
                group.AllReduce(values.AsSpan(), "sum");
                return values;
            })[0];
        }

        Sum(WireFormat.BFloat16).ShouldAllBe(v => v == 1);
        Sum(WireFormat.Native).ShouldAllBe(v => v == value);
    }

    [Theory]
    [InlineData("ab")]
    [InlineData("aab")]
    public void ReduceScatterAndOtherTypes_OverBFloat16_AreWithinTheirOwnRounding(string placement)
    {
        using var ranks = Narrow(placement);
        ranks.Run(group =>
        {
            var doubles = Enumerable.Repeat(1 + Math.Pow(2, -30), Size).ToArray();
            group.AllReduce(doubles.AsSpan(), "doubles");
            doubles.ShouldAllBe(v => v == group.WorldSize * (1 + Math.Pow(2, -30)));
            var part = new float[Size];
            group.ReduceScatter<float>([.. Enumerable.Repeat(3f, Size * group.WorldSize)], part, "scatter");
            part.ShouldAllBe(v => v == 3 * group.WorldSize);
        });
    }

    private static Ranks Narrow(string placement, WireFormat format = WireFormat.BFloat16) =>
        new(placement, new CollectiveOptions { ChunkBytes = 4096, OneStepBytes = 0, WireFormat = format });

    private static float[] Values(int rank)
    {
        var random = new Random(rank);
        return [.. Enumerable.Range(0, Size).Select(_ => (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-3, 4)))];
    }
}
