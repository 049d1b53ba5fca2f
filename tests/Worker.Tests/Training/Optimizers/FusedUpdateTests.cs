using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Cluster.Worker.Training.Optimizers;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Training.Optimizers;

public sealed class FusedUpdateTests
{
    private const int Several = (1 << 19) + 5; // enough for four threads, and an end of five elements

    [Fact]
    public void Run_OfAnyLength_TouchesEveryElementOnceAndNoneBeyond()
    {
        using var scope = NewDisposeScope();
        foreach (var count in new[] { 1, 15, 16, 17, Several })
        {
            var room = zeros(count + 16, dtype: ScalarType.Float32);
            var weight = room.narrow(0, 0, count);

            FusedUpdate.Run(default(AddGradient), weight, ones(count, dtype: ScalarType.Float32));

            Floats(room)[..count].ShouldAllBe(value => value == 1, count.ToString(System.Globalization.CultureInfo.InvariantCulture));
            Floats(room)[count..].ShouldAllBe(value => value == 0);
        }
    }

    [Fact]
    public void SumOfSquares_IsThatOfDoubles()
    {
        using var scope = NewDisposeScope();
        var values = Enumerable.Range(0, Several).Select(i => MathF.Sin(i)).ToArray();

        // Squares of float32 are exact in double; half a million sums of up to 3e5 round by 1e-16 of that each.
        FusedUpdate.SumOfSquares(tensor(values)).ShouldBe(values.Sum(value => (double)value * value), 1e-5);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void SumOfSquares_OfOneValueThatIsNotFinite_IsNot(float value)
    {
        using var scope = NewDisposeScope();
        var values = new float[37];
        values[^1] = value;

        double.IsFinite(FusedUpdate.SumOfSquares(tensor(values))).ShouldBeFalse();
    }

    [Fact]
    public void Fits_OnlyFloat32WithoutGaps()
    {
        using var scope = NewDisposeScope();
        var (plain, wide) = (zeros(4, 4), zeros(4, 4, dtype: ScalarType.Float64));

        FusedUpdate.Fits(plain, plain).ShouldBeTrue();
        FusedUpdate.Fits(wide, plain).ShouldBeFalse();
        FusedUpdate.Fits(plain, plain.t()).ShouldBeFalse();
        FusedUpdate.Fits(plain, zeros(0, 4)).ShouldBeFalse();
    }

    private static float[] Floats(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes).ToArray();

    private readonly unsafe struct AddGradient : IUpdateRule
    {
        public static int States => 0;

        public void Apply(float* gradient, float* weight, float* first, float* second) =>
            (Vector512.Load(weight) + Vector512.Load(gradient)).Store(weight);
    }
}
