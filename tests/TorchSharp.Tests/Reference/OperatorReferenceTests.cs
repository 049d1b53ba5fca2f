using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Cluster.TorchSharp.Tests.Reference;

/// <summary>Values and gradients of the operators in use, against PyTorch's for the same inputs.</summary>
public class OperatorReferenceTests(PyTorchReference reference) : IClassFixture<PyTorchReference>
{
    private static readonly Dictionary<string, Func<Tensor[], Tensor>> Cases = new()
    {
        ["add"] = x => x[0] + x[1],
        ["add alpha"] = x => x[0].add(x[1], 2.5),
        ["scalar minus"] = x => 2 - x[0],
        ["scalar over"] = x => 3 / x[0],
        ["mul"] = x => x[0] * x[1],
        ["div"] = x => x[0] / x[1],
        ["div floor"] = x => x[0].div(0.3, RoundingMode.floor),
        ["remainder"] = x => x[0] % 3,
        ["pow"] = x => x[0].pow(1.7),
        ["sqrt"] = x => x[0].sqrt(),
        ["rsqrt"] = x => x[0].rsqrt(),
        ["exp"] = x => x[0].exp(),
        ["log"] = x => x[0].log(),
        ["log1p"] = x => x[0].log1p(),
        ["neg abs"] = x => (-x[0]).abs(),
        ["tanh"] = x => x[0].tanh(),
        ["sigmoid"] = x => x[0].sigmoid(),
        ["relu"] = x => relu(x[0]),
        ["relu6"] = x => relu6(x[0] * 8),
        ["clamp"] = x => x[0].clamp(-0.5, 0.5),
        ["clamp min"] = x => x[0].clamp_min(0.1),
        ["maximum"] = x => x[0].maximum(x[1]),
        ["addcmul"] = x => x[0].addcmul(x[1], x[2], 0.5),
        ["addcdiv"] = x => x[0].addcdiv(x[1], x[2], 0.5),
        ["lerp"] = x => x[0].lerp(x[1], x[2]),
        ["where"] = x => where(x[0] > 0, x[0], x[1]),
        ["masked fill"] = x => x[0].masked_fill(x[0] > 0, 7.0),
        ["matmul"] = x => x[0].matmul(x[1]),
        ["mm"] = x => x[0].mm(x[1]),
        ["bmm"] = x => x[0].bmm(x[1]),
        ["addmm"] = x => x[0].addmm(x[1], x[2], 0.5f, 2f),
        ["sum"] = x => x[0].sum(),
        ["sum dims"] = x => x[0].sum(new long[] { 0, 2 }, keepdim: true),
        ["mean"] = x => x[0].mean(),
        ["mean dims"] = x => x[0].mean([0, 2]),
        ["var"] = x => x[0].var(),
        ["var biased"] = x => x[0].var(new long[] { 0, 2 }, unbiased: false, keepdim: true),
        ["std"] = x => x[0].std(),
        ["norm"] = x => x[0].norm(),
        ["max"] = x => x[0].max(),
        ["max dim"] = x => x[0].max(1).values,
        ["argmax"] = x => x[0].argmax(1),
        ["logsumexp"] = x => x[0].logsumexp(1),
        ["cumsum"] = x => x[0].cumsum(1),
        ["topk"] = x => x[0].topk(2, 1).values,
        ["eq"] = x => x[0].eq(x[1]),
        ["bincount"] = x => x[0].bincount(null, 6),
        ["transpose"] = x => x[0].transpose(0, 2),
        ["permute"] = x => x[0].permute(2, 0, 1).reshape(4, 6),
        ["view flatten"] = x => x[0].view(6, 4).flatten(),
        ["narrow select"] = x => x[0].narrow(1, 1, 2).select(0, 1),
        ["slices"] = x => x[0][TensorIndex.Single(1), TensorIndex.Colon, TensorIndex.Slice(1, 4, 2)],
        ["ellipsis none"] = x => x[0][TensorIndex.Ellipsis, TensorIndex.None, TensorIndex.Single(-1)],
        ["index tensor"] = x => x[0][TensorIndex.Colon, TensorIndex.Tensor(x[1])],
        ["mask"] = x => x[0][x[0] > 0],
        ["index select"] = x => x[0].index_select(1, x[1]),
        ["gather"] = x => x[0].gather(1, x[1]),
        ["cat"] = x => cat(x, 1),
        ["stack"] = x => stack(x, 1),
        ["split"] = x => (x[0].split(2, 1)[1] * 2) + x[0].split(new long[] { 1, 2, 2 }, 1)[2],
        ["chunk"] = x => x[0].chunk(3)[1],
        ["expand"] = x => x[0].expand(3, 4),
        ["roll"] = x => x[0].roll([1, 2], [0, 1]),
        ["softmax"] = x => softmax(x[0], 1),
        ["log softmax"] = x => log_softmax(x[0], 1),
        ["linear"] = x => linear(x[0], x[1], x[2]),
        ["conv2d"] = x => conv2d(x[0], x[1], x[2], [2, 1], [1, 2], [1, 2]),
        ["conv2d groups"] = x => conv2d(x[0], x[1], groups: 2),
        ["conv2d same"] = x => conv2d_padding(x[0], x[1], padding: Padding.Same),
        ["conv2d channels last"] = x => conv2d(ChannelsLast(x[0]), ChannelsLast(x[1]), padding: [1, 1]),
        ["max pool"] = x => max_pool2d(x[0], 3, 2, 1),
        ["max pool ceil"] = x => max_pool2d(x[0], 3, 2, ceil_mode: true),
        ["avg pool"] = x => avg_pool2d(x[0], (2, 3), (2, 1), (1, 1), count_include_pad: false),
        ["adaptive pool"] = x => adaptive_avg_pool2d(x[0], (3, 2)),
        ["batch norm train"] = x => batch_norm(x[0], zeros(3, float64), ones(3, float64), x[1], x[2], true, 0.2, 1e-4),
        ["batch norm eval"] = x => batch_norm(x[0], x[1].detach(), x[2].detach(), x[3], x[4]),
        ["local response"] = x => local_response_norm(x[0], 5, 1e-2, 0.75, 2.0),
        ["local response even"] = x => local_response_norm(x[0], 4, 1e-1, 0.5),
        ["pad"] = x => pad(x[0], (1, 2, 0, 1), value: 3.0),
        ["pad reflect"] = x => pad(x[0], (1, 2, 2, 1), PaddingModes.Reflect),
        ["cross entropy"] = x => cross_entropy(x[0], x[1]),
        ["cross entropy smooth"] = x => cross_entropy(x[0], x[1], x[2].detach(), reduction: nn.Reduction.Sum, label_smoothing: 0.1),
        ["nll"] = x => nll_loss(x[0].log_softmax(1), x[1], reduction: nn.Reduction.None),
        ["mse"] = x => mse_loss(x[0], x[1]),
        ["one hot"] = x => one_hot(x[0], 5),
        ["float32 conv"] = x => conv2d(x[0], x[1], padding: [1, 1]),
        ["to float"] = x => x[0].to(float32) * 2
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Operator_OnPyTorchsInputs_GivesItsResultAndGradients(string name)
    {
        if (reference.Missing is { } reason) Assert.Skip(reason);
        using var scope = NewDisposeScope();
        var inputs = reference.Read(name, "input");
        foreach (var input in inputs.Where(input => input.is_floating_point())) input.requires_grad = true;

        var result = Cases[name](inputs);

        var expected = reference.Read(name, "result")[0];
        result.shape.ShouldBe(expected.shape);
        result.dtype.ShouldBe(expected.dtype);
        // The same library computes both, perhaps with another blocking: a few units in the last place of sums of ~100 terms.
        var tolerance = expected.dtype == ScalarType.Float32 ? 1e-5 : 1e-12;
        result.allclose(expected, tolerance, tolerance).ShouldBeTrue();

        var gradients = reference.Read(name, "grad");
        result.requires_grad.ShouldBe(gradients.Length > 0);
        if (gradients.Length == 0) return;
        var weights = arange(1, result.numel() + 1, dtype: result.dtype).view(result.shape) / result.numel();
        (result * weights).sum().backward();
        var differentiable = inputs.Where(input => input.is_floating_point()).ToArray();
        for (var i = 0; i < differentiable.Length; i++)
        {
            var grad = differentiable[i].grad ?? differentiable[i].zeros_like();
            grad.allclose(gradients[i], 10 * tolerance, 10 * tolerance).ShouldBeTrue($"gradient {i} differs");
        }
    }

    [Fact]
    public void Cases_AreThoseOfTheScript()
    {
        if (reference.Missing is { } reason) Assert.Skip(reason);
        reference.Cases.ShouldBe(Cases.Keys, ignoreOrder: true);
    }

    private static Tensor ChannelsLast(Tensor x)
    {
        var (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3]);
        // Copying records the graph: the layout is a copy's, the gradient flows back to x.
        return empty_strided([n, c, h, w], [h * w * c, 1, w * c, c], x.dtype).copy_(x);
    }
}
