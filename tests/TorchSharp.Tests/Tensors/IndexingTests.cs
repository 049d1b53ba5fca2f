using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Tensors;

public class IndexingTests
{
    [Fact]
    public void Index_OfPositionsAndSlices_IsAViewThatCanBeAssigned()
    {
        using var scope = NewDisposeScope();
        var x = zeros(3, 4);
        x[1, 2] = tensor(5f);
        x[TensorIndex.Slice(0, 3, 2), TensorIndex.Single(0)] = ones(2);
        x[2..3, ^1] = full(1, 7f);

        x.data<float>().ToArray().ShouldBe([1, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0, 7]);
        x[1].fill_(2);
        x[1].sum().ToSingle().ShouldBe(8);
    }

    [Fact]
    public void Index_ByTensors_PutsAndPicks()
    {
        using var scope = NewDisposeScope();
        var x = arange(6, dtype: float32).view(2, 3);
        var columns = tensor(new long[] { 2, 0 });

        x[TensorIndex.Ellipsis, TensorIndex.Tensor(columns)].data<float>().ToArray().ShouldBe([2, 0, 5, 3]);
        x[TensorIndex.Single(1), TensorIndex.Tensor(columns)] = full(2, -1f);
        x.data<float>().ToArray().ShouldBe([0, 1, 2, -1, 4, -1]);
        x[x < 0] = zeros(1);
        x.min().ToSingle().ShouldBe(0);
        Should.Throw<ArgumentException>(() => x[TensorIndex.Tensor(x > 0), TensorIndex.Colon]);
    }

    [Fact]
    public void InPlaceOperations_ChangeAndReturnTheSameObject()
    {
        using var scope = NewDisposeScope();
        var x = full(2, 4f);
        x.add_(1).mul_(2).sub_(ones(2)).div_(3).ShouldBeSameAs(x);
        x.data<float>().ToArray().ShouldBe([3, 3]);
        x.addcmul_(x, x, 2).data<float>().ToArray().ShouldBe([21, 21]);
        x.addcdiv_(ones(2), full(2, 2f), 2).data<float>().ToArray().ShouldBe([22, 22]);
        x.lerp_(zeros(2), full(2, 0.5f)).data<float>().ToArray().ShouldBe([11, 11]);
        x.pow_(2).sqrt_().neg_().abs_().clamp_(max: 10).data<float>().ToArray().ShouldBe([10, 10]);
        x.copy_(tensor(new long[] { 1, 2 })).data<float>().ToArray().ShouldBe([1, 2]);
        x.zero_().sum().ToSingle().ShouldBe(0);
        x.set_(ones(3)).shape.ShouldBe([3]);
    }

    [Fact]
    public void Equals_ComparesValues_WhereEqComparesElements()
    {
        using var scope = NewDisposeScope();
        var (x, y) = (arange(3), arange(3));
        x.Equals(y).ShouldBeTrue();
        (x == y).all().ToBoolean().ShouldBeTrue();
        x.allclose(y).ShouldBeTrue();
        x.Equals(arange(4)).ShouldBeFalse();
        (x >= 1).sum().ToInt64().ShouldBe(2);
        (1 < x).sum().ToInt64().ShouldBe(1);
    }

    [Fact]
    public void SplitChunkUnbind_GiveEveryPiece()
    {
        using var scope = NewDisposeScope();
        var x = arange(7);
        x.split(3).Select(piece => piece.numel()).ShouldBe([3, 3, 1]);
        x.split(7).Length.ShouldBe(1);
        x.chunk(3).Select(piece => piece.numel()).ShouldBe([3, 3, 1]);
        x.unbind().Length.ShouldBe(7);
        zeros(40, 2).unbind().Length.ShouldBe(40);
        cat([x, x]).numel().ShouldBe(14);
        Should.Throw<System.Runtime.InteropServices.ExternalException>(() => cat([zeros(2, 2), zeros(3, 3)]));
    }
}
