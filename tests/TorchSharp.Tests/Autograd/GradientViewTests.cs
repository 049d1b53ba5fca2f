using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Autograd;

/// <summary>Gradients that are views of a flat buffer, on which gradient buckets rest.</summary>
public class GradientViewTests
{
    [Fact]
    public void Backward_WhenGradsViewAFlatBuffer_FillsTheBuffer()
    {
        using var scope = NewDisposeScope();
        var linear = nn.Linear(3, 2);
        var flat = zeros(8);
        linear.weight.grad = flat.narrow(0, 0, 6).view(2, 3);
        linear.bias!.grad = flat.narrow(0, 6, 2);

        linear.call(ones(4, 3)).sum().backward();
        linear.call(ones(4, 3)).sum().backward();

        flat.data<float>().ToArray().ShouldBe([8, 8, 8, 8, 8, 8, 8, 8]);
    }

    [Fact]
    public void Backward_WhenTheViewIsUsedTwiceInOneGraph_AddsBothInPlace()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(2));
        var flat = full(2, 100f);
        weight.grad = flat.view(2);

        ((weight * 3).sum() + (weight * 4).sum()).backward();

        flat.data<float>().ToArray().ShouldBe([107, 107]);
    }

    [Fact]
    public void Grad_ReadTwice_SharesTheMemoryAssigned()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(2));
        var buffer = zeros(2);
        weight.grad = buffer;

        weight.grad.fill_(5);

        buffer.data<float>().ToArray().ShouldBe([5, 5]);
        weight.grad = null;
        weight.grad.ShouldBeNull();
        buffer.data<float>().ToArray().ShouldBe([5, 5]);
    }

    [Fact]
    public void ZeroGrad_SetToNone_DropsTheView()
    {
        using var scope = NewDisposeScope();
        var linear = nn.Linear(2, 1, hasBias: false);
        var flat = ones(2);
        linear.weight.grad = flat.view(1, 2);

        linear.zero_grad();

        linear.weight.grad.ShouldBeNull();
        linear.call(ones(1, 2)).sum().backward();
        flat.data<float>().ToArray().ShouldBe([1, 1]);
    }

    [Fact]
    public void ZeroGrad_InPlace_KeepsTheView()
    {
        using var scope = NewDisposeScope();
        var linear = nn.Linear(2, 1, hasBias: false);
        var flat = ones(2);
        linear.weight.grad = flat.view(1, 2);

        linear.zero_grad(false);
        flat.data<float>().ToArray().ShouldBe([0, 0]);
        linear.call(full(1, 2, 3f)).sum().backward();

        flat.data<float>().ToArray().ShouldBe([3, 3]);
    }

    [Fact]
    public void Grad_OfAnotherShape_IsRefused()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(2));
        weight.grad = zeros(3);

        // libtorch checks when it accumulates.
        Should.Throw<System.Runtime.InteropServices.ExternalException>(() => (weight * 2).sum().backward());
    }
}
