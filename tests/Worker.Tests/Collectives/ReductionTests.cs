using System.Runtime.InteropServices;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>
/// Every type and operator at 1, 2, 3, 5 and 8 ranks and odd sizes, against a loop over the ranks; small whole numbers, so that results are
/// exact in every type.
/// </summary>
public sealed class ReductionTests
{
    /// <summary>Small enough that the larger sizes need several chunks, and more of them than a stream has under way.</summary>
    private const int ChunkBytes = 512;

    // One element, fewer than ranks, odd, several chunks with a remainder, and enough for many chunks of slices.
    private static readonly int[] Sizes = [1, 3, 129, 5_003];

    public static TheoryData<string, ReduceOp> Cases
    {
        get
        {
            var cases = new TheoryData<string, ReduceOp>();
            foreach (var placement in (string[])["a", "aa", "ab", "aaa", "abc", "aab", "aaaaa", "abcde", "aabbb", "aaaaaaaa", "abcdefgh",
                "aabbccdd"])
            {
                foreach (var op in Enum.GetValues<ReduceOp>())
                    cases.Add(placement, op);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AllReduceAndReduceScatter_OfEveryType_GiveWhatALoopOverTheRanksGives(string placement, ReduceOp op)
    {
        using var ranks = new Ranks(placement,
            new CollectiveOptions { ChunkBytes = ChunkBytes, OneStepBytes = ChunkBytes, OperationTimeout = TimeSpan.FromSeconds(60) });
        ranks.Run(group =>
        {
            foreach (var size in Sizes)
            {
                Check(group, size, op, x => (float)x);
                Check(group, size, op, x => x);
                Check(group, size, op, x => (BFloat16)(float)x);
                Check(group, size, op, x => (Half)x);
                Check(group, size, op, x => (long)x);
            }
        });
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void AllReduce_WithAnotherOperatorOnAnotherRank_SaysThatItIsOutOfStep(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(
            group => group.AllReduce<float>(new float[5], "sum", group.Rank == 0 ? ReduceOp.Mean : ReduceOp.Max));
        failures[0]!.Message.ShouldContain(
            "it makes an all-reduce of 20 bytes (max of float32) where this rank makes an all-reduce of 20 bytes (mean of float32)");
    }

    [Fact]
    public void AllReduce_OfATypeThatIsNotReduced_SaysWhichAre()
    {
        using var ranks = new Ranks("a");
        ranks.Run(group => Should.Throw<NotSupportedException>(() => group.AllReduce<byte>(new byte[1], "sum"))
            .Message.ShouldBe("values of type Byte are not reduced; use one of float32, float64, bfloat16, float16, int64"));
    }

    [Theory]
    [InlineData(1.0f, 0x3F80)]
    [InlineData(1.00390625f, 0x3F80)] // halfway: to even, downwards
    [InlineData(1.01171875f, 0x3F82)] // halfway: to even, upwards
    [InlineData(3.4e38f, 0x7F80)] // beyond the largest
    [InlineData(float.NegativeInfinity, 0xFF80)]
    [InlineData(float.NaN, 0xFFC0)]
    public void BFloat16_OfAFloat_RoundsToTheNearestEven(float value, int bits)
    {
        var narrow = new BFloat16[37]; // whole vectors and a rest
        BFloat16Conversion.Narrow([.. Enumerable.Repeat(value, narrow.Length)], narrow);
        MemoryMarshal.Cast<BFloat16, ushort>(narrow).ToArray().ShouldAllBe(n => n == bits);
        var wide = new float[narrow.Length];
        BFloat16Conversion.Widen(narrow, wide);
        wide.ShouldAllBe(w => BitConverter.SingleToInt32Bits(w) == bits << 16);
    }

    private static void Check<T>(ICollectiveGroup group, int size, ReduceOp op, Func<double, T> convert)
        where T : unmanaged
    {
        var expected = Array.ConvertAll(Indexes(size * group.WorldSize), i => convert(Expected(group.WorldSize, i, op)));
        var values = Array.ConvertAll(Indexes(size * group.WorldSize), i => convert(Value(group.Rank, group.WorldSize, i)));
        var part = new T[size];
        group.ReduceScatter<T>(values, part, "scatter", op);
        RequireEqual(part, expected.AsSpan(group.Rank * size, size), $"reduce-scatter {op} of {typeof(T).Name}, {size}, rank {group.Rank}");
        group.AllReduce(values.AsSpan(0, size), "reduce", op);
        RequireEqual<T>(
            values.AsSpan(0, size), expected.AsSpan(0, size), $"all-reduce {op} of {typeof(T).Name}, {size}, rank {group.Rank}");
    }

    private static void RequireEqual<T>(ReadOnlySpan<T> actual, ReadOnlySpan<T> expected, string what)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            if (!EqualityComparer<T>.Default.Equals(actual[i], expected[i]))
                Assert.Fail($"{what}: element {i} is {actual[i]}, not {expected[i]}");
        }
    }

    /// <summary>
    /// A multiple of the world size, so that means are whole; sums of 8 ranks stay at most 256, up to which bfloat16 counts by ones.
    /// </summary>
    private static double Value(int rank, int worldSize, int i) => worldSize * (((rank * 5) + (i * 3)) % 9 - 4);

    private static double Expected(int worldSize, int i, ReduceOp op)
    {
        var result = Value(0, worldSize, i);
        for (var rank = 1; rank < worldSize; rank++)
        {
            var value = Value(rank, worldSize, i);
            result = op switch
            {
                ReduceOp.Min => Math.Min(result, value),
                ReduceOp.Max => Math.Max(result, value),
                _ => result + value,
            };
        }

        return op == ReduceOp.Mean ? result / worldSize : result;
    }

    private static int[] Indexes(int count) => [.. Enumerable.Range(0, count)];
}
