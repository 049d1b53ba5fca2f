using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Autograd;

public class GradModeTests
{
    [Fact]
    public void NoGrad_WhileItLasts_RecordsNothing()
    {
        using var scope = NewDisposeScope();
        var x = ones(1, requires_grad: true);
        using (no_grad())
        {
            is_grad_enabled().ShouldBeFalse();
            (x * 2).requires_grad.ShouldBeFalse();
            using (enable_grad()) (x * 2).requires_grad.ShouldBeTrue();
            is_grad_enabled().ShouldBeFalse();
        }
        is_grad_enabled().ShouldBeTrue();
    }

    [Fact]
    public void InferenceMode_MakesTensorsThatNoGraphTakes()
    {
        using var scope = NewDisposeScope();
        Tensor made;
        using (inference_mode())
        {
            is_inference_mode_enabled().ShouldBeTrue();
            made = ones(1);
        }
        is_inference_mode_enabled().ShouldBeFalse();
        var weight = ones(1, requires_grad: true);
        Should.Throw<ExternalException>(() => weight * made).Message.ShouldContain("Inference tensors cannot be saved for backward");
    }

    [Fact]
    public void Backward_FromSeveralElements_NamesTheRemedy()
    {
        using var scope = NewDisposeScope();
        var x = ones(2, requires_grad: true);

        Should.Throw<ExternalException>(() => (x * 2).backward()).Message.ShouldContain("scalar outputs");
        autograd.backward([x * 2], [full(2, 3f)]);
        x.grad!.data<float>().ToArray().ShouldBe([6, 6]);
    }

    [Fact]
    public void Backward_Twice_NeedsRetainGraph()
    {
        using var scope = NewDisposeScope();
        var x = ones(1, requires_grad: true);
        var once = x.exp();
        once.backward();
        Should.Throw<ExternalException>(() => once.backward()).Message.ShouldContain("second time");

        var twice = x.exp();
        twice.backward(retain_graph: true);
        twice.backward();
        x.grad!.item<float>().ShouldBe(3 * MathF.E, 1e-5f);
    }

    [Fact]
    public void Grad_ReturnsGradientsWithoutAccumulating()
    {
        using var scope = NewDisposeScope();
        var (x, unused) = (full(1, 3.0, dtype: float64, requires_grad: true), ones(1, requires_grad: true));

        var first = autograd.grad([x.pow(3)], [x], create_graph: true)[0];
        var second = autograd.grad([first], [x])[0];

        (first.item<double>(), second.item<double>()).ShouldBe((27.0, 18.0));
        x.grad.ShouldBeNull();
        autograd.grad([x * 2], [x, unused], allow_unused: true)[1].ShouldBeNull();
    }

    [Fact]
    public void RetainGrad_KeepsTheGradientOfAnIntermediateResult()
    {
        using var scope = NewDisposeScope();
        var x = ones(1, requires_grad: true);
        var middle = x * 2;
        middle.is_leaf.ShouldBeFalse();
        middle.retain_grad();

        (middle * 5).backward();

        middle.grad!.item<float>().ShouldBe(5f);
        x.is_leaf.ShouldBeTrue();
    }
}
