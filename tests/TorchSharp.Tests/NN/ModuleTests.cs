using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.NN;

public class ModuleTests
{
    [Fact]
    public void StateDict_ListsParametersThenBuffersInOrderOfDeclaration()
    {
        using var model = new Block();

        model.state_dict().Keys.ShouldBe(
        [
            "scale", "conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias", "layers.0.weight", "layers.1.weight", "layers.1.bias",
            "head.fc.weight", "head.fc.bias",
            "offset", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"
        ], ignoreOrder: false);
        model.named_modules().Select(named => named.name).ShouldBe(["conv1", "bn1", "layers", "head", "layers.0", "layers.1", "head.relu", "head.fc"]);
        model.parameters().Sum(parameter => parameter.numel()).ShouldBe(1 + (4 * 2 * 9) + 4 + 8 + 16 + 20 + 8 + 2);
        model.get_parameter("head.fc.bias").ShouldNotBeNull().shape.ShouldBe([2]);
        model.has_buffer("bn1.running_var").ShouldBeTrue();
        model.has_parameter("bn1.running_var").ShouldBeFalse();
    }

    [Fact]
    public void LoadStateDict_CopiesValuesAndNamesDifferences()
    {
        using var scope = NewDisposeScope();
        using var source = nn.Linear(2, 3);
        using var target = nn.Linear(2, 3);
        target.load_state_dict(source.state_dict());
        target.weight.Equals(source.weight).ShouldBeTrue();
        target.weight.requires_grad.ShouldBeTrue();

        var partial = new Dictionary<string, Tensor> { ["bias"] = zeros(3), ["other"] = zeros(1) };
        Should.Throw<InvalidOperationException>(() => target.load_state_dict(partial));
        var (missing, unexpected) = target.load_state_dict(partial, strict: false);
        (missing.Single(), unexpected.Single()).ShouldBe(("weight", "other"));
        target.bias!.abs().sum().ToSingle().ShouldBe(0);
    }

    [Fact]
    public void To_AnotherType_ReplacesParametersAndKeepsIntegerBuffers()
    {
        using var scope = NewDisposeScope();
        var model = new Block();
        var before = model.conv1.weight;
        model.call(ones(1, 2, 4, 4)).sum().backward();

        model.to(float64).ShouldBeSameAs(model);

        model.conv1.weight.ShouldNotBeSameAs(before);
        before.IsInvalid.ShouldBeTrue();
        model.conv1.weight.dtype.ShouldBe(float64);
        model.conv1.weight.grad!.dtype.ShouldBe(float64);
        model.conv1.weight.is_leaf.ShouldBeTrue();
        model.scale.dtype.ShouldBe(float64);
        model.bn1.running_mean!.dtype.ShouldBe(float64);
        model.bn1.num_batches_tracked!.dtype.ShouldBe(int64);
        model.state_dict()["scale"].ShouldBeSameAs(model.scale);
        model.call(ones(1, 2, 4, 4, float64)).dtype.ShouldBe(float64);
        Should.Throw<ArgumentException>(() => model.to(int32)).Message.ShouldContain("only accepts floating point");
    }

    [Fact]
    public void Train_ReachesEverySubmodule()
    {
        using var model = new Block();
        model.training.ShouldBeTrue();
        model.eval();
        model.modules().ShouldAllBe(module => !module.training);
        model.train();
        model.modules().ShouldAllBe(module => module.training);
    }

    [Fact]
    public void Hooks_RunInOrderAndMayReplaceValues()
    {
        using var scope = NewDisposeScope();
        var log = new List<string>();
        var identity = nn.Identity();
        identity.register_forward_pre_hook(_ => log.Add("module pre"));
        identity.register_forward_pre_hook((_, input) =>
        {
            log.Add("pre");
            return input * 2;
        });
        var remover = identity.register_forward_hook((_, input, result) =>
        {
            log.Add($"post {input.item<float>()} {result.item<float>()}");
            return result + 1;
        });
        identity.register_forward_hook(_ => log.Add("module post"));

        identity.call(full(1, 3f)).item<float>().ShouldBe(7);
        log.ShouldBe(["module pre", "pre", "post 6 6", "module post"]);

        remover.remove();
        identity.call(full(1, 3f)).item<float>().ShouldBe(6);
        identity.forward(full(1, 3f)).item<float>().ShouldBe(3);
    }

    [Fact]
    public void Sequential_DisposesOfWhatLiesBetween()
    {
        using var scope = NewDisposeScope();
        Tensor? between = null;
        var first = nn.ReLU();
        first.register_forward_hook((_, _, result) => between = result);
        var model = nn.Sequential(first, nn.Identity(), nn.Flatten());
        var input = ones(1, 2, 2);

        var output = model.call(input);

        between!.IsInvalid.ShouldBeTrue();
        input.IsInvalid.ShouldBeFalse();
        output.shape.ShouldBe([1, 4]);
        model.named_children().Select(child => child.name).ShouldBe(["0", "1", "2"]);
        nn.Sequential().call(input).Equals(input).ShouldBeTrue();
    }

    [Fact]
    public void Registration_RefusesWhatItCannotName()
    {
        var model = new Block();
        Should.Throw<InvalidOperationException>(() => model.register_module("head", nn.ReLU()));
        Should.Throw<ArgumentException>(() => model.register_module("a.b", nn.ReLU()));
        Should.Throw<InvalidOperationException>(() => model.register_buffer("offset", zeros(1)));
        Should.Throw<InvalidOperationException>(() => nn.ReLU().register_buffer("state", zeros(1)));
    }

    [Fact]
    public void Dispose_ReachesTheParameters()
    {
        var model = new Block();
        var parameters = model.parameters().ToList();
        model.Dispose();
        parameters.ShouldAllBe(parameter => parameter.IsInvalid);
        model.Dispose();
    }

    [Fact]
    public void SharedParameter_IsListedOnce()
    {
        using var model = new Tied();
        model.parameters().Count().ShouldBe(1);
        // As in the genuine package each of its names is in the state dictionary.
        model.state_dict().Keys.ShouldBe(["first.weight", "second.weight"]);
    }

    private sealed class Block : nn.Module<Tensor, Tensor>
    {
        public readonly Parameter scale = nn.Parameter(ones(1));
        public readonly Conv2d conv1 = nn.Conv2d(2, 4, 3, padding: 1);
        public readonly BatchNorm2d bn1 = nn.BatchNorm2d(4);
        public readonly ModuleList<nn.Module<Tensor, Tensor>> layers = nn.ModuleList<nn.Module<Tensor, Tensor>>(nn.Linear(4, 4, hasBias: false), nn.Linear(4, 4));
        public readonly Sequential head = nn.Sequential(("relu", nn.ReLU()), ("fc", nn.Linear(4, 2)));
        public readonly Tensor offset = zeros(1);

        public Block() : base(nameof(Block)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            var x = bn1.call(conv1.call(input)).mean([2, 3]) * scale + offset;
            foreach (var layer in layers) x = layer.call(x);
            return head.call(x);
        }
    }

    private sealed class Tied : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(2, 2, hasBias: false);
        private readonly Linear second;

        public Tied() : base(nameof(Tied))
        {
            second = nn.Linear(first.weight);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => second.call(first.call(input));
    }
}
