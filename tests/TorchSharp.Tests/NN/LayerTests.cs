using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.NN;

public class LayerTests
{
    [Fact]
    public void Conv2d_ByDefault_DrawsWithinTheFanInBound()
    {
        using var scope = NewDisposeScope();
        var conv = nn.Conv2d(16, 64, 3, groups: 2);
        conv.weight.shape.ShouldBe([64, 8, 3, 3]);
        FillsUniformly(conv.weight, 1 / Math.Sqrt(8 * 9));
        conv.bias!.abs().max().ToDouble().ShouldBeLessThanOrEqualTo(1 / Math.Sqrt(8 * 9));
        (conv.weight.requires_grad, conv.weight.is_leaf).ShouldBe((true, true));
        nn.Conv2d(1, 1, 1, bias: false).bias.ShouldBeNull();
    }

    [Fact]
    public void Linear_ByDefault_DrawsWithinTheFanInBound()
    {
        using var scope = NewDisposeScope();
        var linear = nn.Linear(100, 200);
        linear.weight.shape.ShouldBe([200, 100]);
        FillsUniformly(linear.weight, 0.1);
        FillsUniformly(linear.bias!, 0.1, 0.02);
        nn.Linear(2, 2, dtype: float64).weight.dtype.ShouldBe(float64);
    }

    [Fact]
    public void BatchNorm2d_InTraining_TracksStatisticsThatEvaluationUses()
    {
        using var scope = NewDisposeScope();
        var norm = nn.BatchNorm2d(2, momentum: 0.5);
        norm.weight.data<float>().ToArray().ShouldBe([1, 1]);
        norm.running_var!.data<float>().ToArray().ShouldBe([1, 1]);
        var x = arange(8, dtype: float32).view(2, 2, 2, 1);

        var normalised = norm.call(x);

        normalised.mean([0, 2, 3]).abs().max().ToDouble().ShouldBeLessThan(1e-6);
        norm.running_mean!.data<float>().ToArray().ShouldBe([1.25f, 2.25f]);
        // Channel 0 is 0, 1, 4, 5: unbiased variance 17/3.
        norm.running_var[0].item<float>().ShouldBe((0.5f * 17 / 3) + 0.5f, 1e-5f);
        norm.num_batches_tracked!.item<long>().ShouldBe(1);
        norm.eval();
        var evaluated = norm.call(x);
        evaluated[0, 0, 0, 0].item<float>().ShouldBe(-1.25f / MathF.Sqrt((0.5f * 17 / 3) + 0.5f), 1e-4f);
        norm.num_batches_tracked.item<long>().ShouldBe(1);
        Should.Throw<ArgumentException>(() => norm.call(zeros(2, 2)));
        nn.BatchNorm2d(2, affine: false, track_running_stats: false).state_dict().ShouldBeEmpty();
    }

    [Fact]
    public void Dropout_InTrainingOnly_ZeroesAndScales()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var dropout = nn.Dropout(0.25);
        var x = ones(10_000);
        var dropped = dropout.call(x);
        (dropped == 0).@float().mean().ToDouble().ShouldBe(0.25, 5 * Math.Sqrt(0.25 * 0.75 / 10_000));
        dropped.max().ToSingle().ShouldBe(1 / 0.75f, 1e-6f);
        dropout.eval();
        dropout.call(x).Equals(x).ShouldBeTrue();
        nn.functional.dropout(x, 1.0, training: true, inplace: true).Dispose();
        x.sum().ToSingle().ShouldBe(0);
    }

    [Fact]
    public void Layers_GiveTheDocumentedShapes()
    {
        using var scope = NewDisposeScope();
        var x = randn(2, 4, 13, 13);
        nn.Conv2d(4, 8, 5, stride: 2, padding: 2).call(x).shape.ShouldBe([2, 8, 7, 7]);
        nn.Conv2d(4, 8, (3, 1), padding: (1, 0)).call(x).shape.ShouldBe([2, 8, 13, 13]);
        nn.Conv2d(4, 8, 3, Padding.Same).call(x).shape.ShouldBe([2, 8, 13, 13]);
        nn.Conv2d(4, 8, 3, padding: 1, padding_mode: PaddingModes.Reflect).call(x).shape.ShouldBe([2, 8, 13, 13]);
        nn.MaxPool2d(3, 2).call(x).shape.ShouldBe([2, 4, 6, 6]);
        nn.MaxPool2d(2, ceil_mode: true).call(x).shape.ShouldBe([2, 4, 7, 7]);
        nn.AvgPool2d(2).call(x).shape.ShouldBe([2, 4, 6, 6]);
        nn.AdaptiveAvgPool2d((1, 1)).call(x).shape.ShouldBe([2, 4, 1, 1]);
        nn.LocalResponseNorm(5).call(x).shape.ShouldBe([2, 4, 13, 13]);
        nn.Flatten().call(x).shape.ShouldBe([2, 676]);
        nn.Softmax(1).call(x).sum(1)[0, 0, 0].item<float>().ShouldBe(1, 1e-5f);
        nn.LogSoftmax(1).call(x).exp().sum(1)[0, 0, 0].item<float>().ShouldBe(1, 1e-5f);
        nn.ReLU6().call(full(1, 9f)).item<float>().ShouldBe(6);
        nn.Tanh().call(zeros(1)).item<float>().ShouldBe(0);
        nn.Sigmoid().call(zeros(1)).item<float>().ShouldBe(0.5f);
        nn.CrossEntropyLoss().call(zeros(1, 4), tensor([2L])).item<float>().ShouldBe(MathF.Log(4), 1e-6f);
        Should.Throw<ArgumentException>(() => nn.Conv2d(3, 8, 3).call(x)).Message.ShouldContain("with 3 channels");
        Should.Throw<ArgumentException>(() => nn.Conv2d(3, 8, 3, Padding.Same, stride: 2));
    }

    [Fact]
    public void InplaceActivation_ChangesItsInputAndGivesAReferenceOfItsOwn()
    {
        using var scope = NewDisposeScope();
        var x = full(2, -1f);
        using (nn.ReLU(inplace: true).call(x))
        {
        }
        x.sum().ToSingle().ShouldBe(0);
    }

    [Fact]
    public void Init_FillsWithTheDocumentedDistributions()
    {
        using var scope = NewDisposeScope();
        manual_seed(11);
        var weight = empty(200, 300).requires_grad_();
        nn.init.kaiming_normal_(weight, nonlinearity: nn.init.NonlinearityType.ReLU);
        weight.std().ToDouble().ShouldBe(Math.Sqrt(2.0 / 300), 0.001);
        nn.init.kaiming_uniform_(weight, mode: nn.init.FanInOut.FanOut);
        FillsUniformly(weight, Math.Sqrt(3) * Math.Sqrt(2.0 / 200));
        nn.init.xavier_uniform_(weight);
        FillsUniformly(weight, Math.Sqrt(6.0 / 500));
        nn.init.normal_(weight, 1, 0.5);
        weight.mean().ToDouble().ShouldBe(1, 0.02);
        nn.init.trunc_normal_(weight, 0, 0.1, -0.15, 0.15);
        weight.abs().max().ToDouble().ShouldBeLessThanOrEqualTo(0.15 + 1e-6);
        // N(0, 1) cut at ±1.5 has standard deviation 0.7426.
        weight.std().ToDouble().ShouldBe(0.07426, 0.001);
        nn.init.constant_(weight, 0.5).sum().ToDouble().ShouldBe(30_000, 1e-3);
        weight.requires_grad.ShouldBeTrue();
        weight.is_leaf.ShouldBeTrue();
        nn.init.CalculateFanInAndFanOut(empty(8, 4, 3, 3)).ShouldBe((36, 72));
        Should.Throw<ArgumentException>(() => nn.init.CalculateFanInAndFanOut(empty(8)));
    }

    [Fact]
    public void ClipGradNorm_ScalesAllGradientsTogether()
    {
        using var scope = NewDisposeScope();
        var (a, b, without) = (nn.Parameter(zeros(1)), nn.Parameter(zeros(1)), nn.Parameter(zeros(1)));
        (a.grad, b.grad) = (full(1, 3f), full(1, 4f));

        nn.utils.clip_grad_norm_([a, b, without], 10).ShouldBe(5, 1e-5);
        a.grad.item<float>().ShouldBe(3);
        nn.utils.clip_grad_norm_([a, b, without], 1).ShouldBe(5, 1e-5);

        a.grad.item<float>().ShouldBe(0.6f, 1e-5f);
        b.grad.item<float>().ShouldBe(0.8f, 1e-5f);
        without.grad.ShouldBeNull();
    }

    /// <summary>Within the bound, and with the standard deviation bound/√3 of a uniform distribution.</summary>
    private static void FillsUniformly(Tensor tensor, double bound, double relative = 0.02)
    {
        tensor.abs().max().ToDouble().ShouldBeInRange(bound * 0.95, bound * (1 + 1e-6));
        tensor.std().ToDouble().ShouldBe(bound / Math.Sqrt(3), bound * Math.Max(relative, 0.02) * 2);
    }
}
