using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Tensors;

public class DataTests
{
    [Fact]
    public void Accessor_OfAStridedView_ReadsAndWritesInRowMajorOrder()
    {
        using var scope = NewDisposeScope();
        var matrix = arange(6, dtype: float32).view(2, 3);
        var view = matrix.t();
        var accessor = view.data<float>();

        accessor.ToArray().ShouldBe([0, 3, 1, 4, 2, 5]);
        accessor.ShouldBe([0, 3, 1, 4, 2, 5]);
        accessor[1].ShouldBe(3);
        accessor[2, 1].ShouldBe(5);
        accessor[0, 1] = 30;
        matrix[1, 0].item<float>().ShouldBe(30);
        accessor.CopyFrom([7f, 8f], tensorIndex: 2);
        matrix.data<float>().ToArray().ShouldBe([0, 7, 2, 30, 8, 5]);
        var part = new float[3];
        accessor.CopyTo(part, arrayIndex: 1, tensorIndex: 4);
        part.ShouldBe([0, 2, 5]);
        Should.Throw<IndexOutOfRangeException>(() => accessor[6]);
        Should.Throw<IndexOutOfRangeException>(() => accessor[0, 2]);
        Should.Throw<ArgumentOutOfRangeException>(() => accessor.CopyTo(part, tensorIndex: 6));
    }

    [Fact]
    public void Accessor_OfContiguousMemory_CopiesWholeBlocks()
    {
        using var scope = NewDisposeScope();
        var tensor = zeros(4, dtype: int64);
        tensor.data<long>().CopyFrom([1, 2, 3, 4, 5]);
        tensor.data<long>().ToArray().ShouldBe([1, 2, 3, 4]);
        empty(0).data<float>().ToArray().ShouldBeEmpty();
        tensor.data<long>().Count.ShouldBe(4);
    }

    [Fact]
    public void Data_OfAnotherType_IsRefused()
    {
        using var scope = NewDisposeScope();
        Should.Throw<ArgumentException>(() => zeros(1).data<double>()).Message.ShouldBe("Double is not compatible with Float32");
        Should.Throw<ArgumentException>(() => zeros(2).item<float>()).Message.ShouldBe("Number of elements in the tensor must be 1");
        Should.Throw<ArgumentException>(() => zeros(1, dtype: bfloat16).data<float>());
    }

    [Fact]
    public void Bytes_AreTheTensorsMemory()
    {
        using var scope = NewDisposeScope();
        var tensor = zeros(2);
        MemoryMarshal.Cast<byte, float>(tensor.bytes)[1] = 4;
        tensor[1].item<float>().ShouldBe(4);
        tensor.bytes = new byte[8];
        tensor.sum().ToSingle().ShouldBe(0);
        Should.Throw<ArgumentException>(() => tensor.bytes = new byte[7]);
        Should.Throw<InvalidOperationException>(() => _ = zeros(2, 2).t().bytes.Length);
    }

    [Fact]
    public void DataPointer_ExportedByTheNativeLibrary_IsTheFirstElements()
    {
        using var scope = NewDisposeScope();
        var tensor = arange(4, dtype: float32).narrow(0, 2, 2);
        var library = NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, null);
        unsafe
        {
            var data = (delegate* unmanaged<IntPtr, float*>)NativeLibrary.GetExport(library, "THSTensor_data");
            data(tensor.Handle)[0].ShouldBe(2);
        }
        tensor.storage_offset().ShouldBe(2);
    }

    [Fact]
    public void Scalars_OfAnyType_ConvertToNumbers()
    {
        using var scope = NewDisposeScope();
        tensor(2.75).ToInt32().ShouldBe(2);
        tensor(7).ToSingle().ShouldBe(7);
        tensor(true).ToBoolean().ShouldBeTrue();
        ((long)tensor(1L << 60)).ShouldBe(1L << 60);
        ((double)full(1, 1.5, dtype: bfloat16)).ShouldBe(1.5);
        ones(1, requires_grad: true).ToDouble().ShouldBe(1);
        (tensor(5).ToScalar().Type, tensor(5f).ToScalar().Type).ShouldBe((int64, float64));
        Scalar half = 0.5;
        half.ToDouble().ShouldBe(0.5);
        ((Scalar)true).Type.ShouldBe(ScalarType.Bool);
    }

    [Fact]
    public void Conversions_CopyOnlyWhereNeeded()
    {
        using var scope = NewDisposeScope();
        var x = ones(2);
        x.to(float32).fill_(3);
        x[0].item<float>().ShouldBe(3);
        x.to(float32, copy: true).fill_(4);
        x[0].item<float>().ShouldBe(3);
        x.to(CPU).fill_(5);
        x[0].item<float>().ShouldBe(5);
        var converted = x.to_type(int64, disposeAfter: true);
        x.IsInvalid.ShouldBeTrue();
        converted.dtype.ShouldBe(int64);
        zeros(1).to(converted).dtype.ShouldBe(int64);
    }

    [Fact]
    public void ToString_NamesShapeTypeAndDevice() => zeros(2, 3).ToString().ShouldBe("[2x3], type = Float32, device = cpu");

    [Fact]
    public void Errors_OfLibtorch_CarryItsMessage()
    {
        using var scope = NewDisposeScope();
        Should.Throw<ExternalException>(() => zeros(2) + zeros(3)).Message.ShouldContain("must match the size");
        Should.Throw<ExternalException>(() => zeros(2).size(3)).Message.ShouldContain("Dimension out of range");
        // The message is fetched once: the next operation starts clean.
        (zeros(2) + 1).sum().ToSingle().ShouldBe(2);
    }
}
