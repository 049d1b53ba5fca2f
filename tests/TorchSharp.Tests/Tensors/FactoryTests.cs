using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Tensors;

public class FactoryTests
{
    [Fact]
    public void Tensor_FromArrays_HasTheirShapeTypeAndValues()
    {
        using var scope = NewDisposeScope();
        var matrix = tensor(new float[,] { { 1, 2, 3 }, { 4, 5, 6 } });
        (matrix.dtype, matrix.shape).ShouldBe((float32, [2, 3]), new TupleComparer());
        matrix.data<float>().ToArray().ShouldBe([1, 2, 3, 4, 5, 6]);
        tensor(new long[] { 7, 8 }).data<long>().ToArray().ShouldBe([7, 8]);
        tensor(new byte[] { 1, 255 }, [2, 1]).shape.ShouldBe([2, 1]);
        tensor(new[] { true, false }).dtype.ShouldBe(ScalarType.Bool);
        tensor(new[] { 1.5, 2.5 }, dtype: int32).data<int>().ToArray().ShouldBe([1, 2]);
        tensor((IList<int>)[1, 2, 3, 4], 2, 2)[1, 0].item<int>().ShouldBe(3);
        tensor(3).dtype.ShouldBe(int32);
        tensor(3L).shape.ShouldBeEmpty();
        from_array(new double[,,] { { { 1 }, { 2 } } }).shape.ShouldBe([1, 2, 1]);
        Should.Throw<ArgumentException>(() => tensor(new float[] { 1, 2, 3 }, [2, 2])).Message.ShouldContain("mismatched total size");
    }

    [Fact]
    public void Tensor_FromAnArray_IsACopy()
    {
        using var scope = NewDisposeScope();
        var values = new float[] { 1, 2 };
        var copy = tensor(values);
        values[0] = 9;
        copy[0].item<float>().ShouldBe(1);
    }

    [Fact]
    public void Factories_GiveShapeTypeAndGradientFlag()
    {
        using var scope = NewDisposeScope();
        zeros(2, 3).shape.ShouldBe([2, 3]);
        zeros([2, 0]).numel().ShouldBe(0);
        ones(2, 3, 4, 5, float64).sum().ToDouble().ShouldBe(120);
        full([2], 3).dtype.ShouldBe(int64);
        full([2], 3.5).dtype.ShouldBe(float32);
        empty(4, dtype: int8).element_size().ShouldBe(1);
        arange(3).data<long>().ToArray().ShouldBe([0, 1, 2]);
        arange(1, 2, 0.5).data<float>().ToArray().ShouldBe([1, 1.5f]);
        linspace(0, 1, 3).data<float>().ToArray().ShouldBe([0, 0.5f, 1]);
        eye(2).data<float>().ToArray().ShouldBe([1, 0, 0, 1]);
        zeros(1, requires_grad: true).requires_grad.ShouldBeTrue();
        randperm(50).sort().Values.Equals(arange(50)).ShouldBeTrue();
        zeros(2, dtype: float64).ones_like().dtype.ShouldBe(float64);
        Should.Throw<ExternalException>(() => zeros(-1)).Message.ShouldContain("negative dimension");
    }

    [Fact]
    public void RandomFactories_WithAGenerator_RepeatAndStayInBounds()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        var first = rand(1000, generator: generator);
        generator.manual_seed(7);
        first.Equals(rand(1000, generator: generator)).ShouldBeTrue();
        first.min().ToDouble().ShouldBeGreaterThanOrEqualTo(0);
        first.max().ToDouble().ShouldBeLessThan(1);
        var dice = randint(1, 7, [1000], generator: generator);
        (dice.min().ToInt64(), dice.max().ToInt64()).ShouldBe((1, 6));
        zeros(10_000).bernoulli_(0.25, generator).mean().ToDouble().ShouldBe(0.25, 5 * Math.Sqrt(0.25 * 0.75 / 10_000));
        var normal = empty(10_000).normal_(3, 2, generator);
        normal.mean().ToDouble().ShouldBe(3, 5 * 2 / Math.Sqrt(10_000));
        normal.std().ToDouble().ShouldBe(2, 0.1);
        zeros(100).uniform_(2, 3, generator).min().ToDouble().ShouldBeGreaterThanOrEqualTo(2);
    }

    [Fact]
    public void GeneratorState_Restored_RepeatsTheNumbers()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        generator.initial_seed().ShouldBe(3);
        var state = generator.get_state();
        var first = randn(5, generator: generator);
        generator.set_state(state);
        randn(5, generator: generator).Equals(first).ShouldBeTrue();
        generator.device.type.ShouldBe(DeviceType.CPU);
    }

    [Fact]
    public void EmptyStrided_FilledByCopy_IsChannelsLast()
    {
        using var scope = NewDisposeScope();
        var source = arange(24, dtype: float32).view(1, 2, 3, 4);
        var strided = empty_strided([1, 2, 3, 4], [24, 1, 8, 2]).copy_(source);

        strided.stride().ShouldBe([24, 1, 8, 2]);
        strided.is_contiguous().ShouldBeFalse();
        strided.data<float>().ToArray().ShouldBe(source.data<float>().ToArray());
        // The layout survives a convolution, so that a whole network keeps it.
        nn.Conv2d(2, 3, 1).call(strided).stride(1).ShouldBe(1);
    }

    [Fact]
    public void FromFile_Shared_IsSeenByBothMappingsAndTheFile()
    {
        using var scope = NewDisposeScope();
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, new byte[16]);
            var (first, second) = (from_file(path, shared: true, 4, float32), from_file(path, shared: true, 4, float32));
            var apart = from_file(path, shared: false, 4, float32);

            first.narrow(0, 1, 2).fill_(2.5);
            apart[3].fill_(9);

            second.data<float>().ToArray().ShouldBe([0, 2.5f, 2.5f, 0]);
            MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(path)).ToArray().ShouldBe([0, 2.5f, 2.5f, 0]);
            Should.Throw<ExternalException>(() => from_file(path + ".missing", shared: false, 4, float32)).Message.ShouldContain(path + ".missing");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Device_IsParsedAndPrintedAsPyTorchDoes()
    {
        new Device("cuda:1").ToString().ShouldBe("cuda:1");
        new Device("cuda").index.ShouldBe(-1);
        device("cpu").type.ShouldBe(DeviceType.CPU);
        Should.Throw<ArgumentException>(() => new Device("tpu"));
        if (!cuda.is_available())
        {
            cuda.device_count().ShouldBe(0);
            Should.Throw<InvalidOperationException>(() => zeros(1, device: new Device("cuda")));
        }
    }

    [Fact]
    public void Version_IsLibtorchs() => Version.Parse(__version__.Split('+', 'a')[0]).ShouldBeGreaterThanOrEqualTo(new Version(1, 13));

    private sealed class TupleComparer : IEqualityComparer<(ScalarType, long[])>
    {
        public bool Equals((ScalarType, long[]) x, (ScalarType, long[]) y) => x.Item1 == y.Item1 && x.Item2.SequenceEqual(y.Item2);

        public int GetHashCode((ScalarType, long[]) value) => value.Item1.GetHashCode();
    }
}
