using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

public sealed class GradientHooksTests
{
    /// <summary>
    /// Whatever order layers run in, and though it changes: what is reported is final, and once the order is known all is reported but what
    /// runs first.
    /// </summary>
    [Fact]
    public void Forward_InOrdersThatChange_NeverReportsAGradientThatIsNotFinal()
    {
        using var scope = NewDisposeScope();
        using var network = new Permuted();
        var parameters = network.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        var bucketOf = parameters.Keys.ToDictionary(name => name, name => name[0] - 'a'); // a bucket a layer
        var seen = new Dictionary<string, double[]>();
        using var hooks = new GradientHooks(network, bucketOf, bucket =>
        {
            foreach (var name in parameters.Keys.Where(name => bucketOf[name] == bucket))
                seen[name] = Trainings.Values(parameters[name].grad!);
        });

        int[] reported = [.. ((string[])["dcba", "dcba", "acbd", "acbd", "abacd", "abacd"]).Select(order =>
        {
            seen.Clear();
            network.zero_grad();
            network.Order = order;
            hooks.Forward(gradientsAreFinal: true, () => network.call(randn(5, 4, dtype: ScalarType.Float64))).square().sum().backward();
            hooks.ThrowIfFaulted();
            foreach (var (name, values) in seen)
            {
                values.ShouldBe(Trainings.Values(parameters[name].grad!), $"{name} in {order}");
                values.Max(Math.Abs).ShouldBeGreaterThan(0);
            }

            return seen.Count / 2;
        })];

        // Registered is "abcd". The layer that runs first has an input without a gradient.
        reported.ShouldBe([0, 3, 0, 3, 0, 3]);
    }

    /// <summary>
    /// TorchSharp keeps nothing of what backward returns: without a root the collector would free it between its return and libtorch's
    /// copy.
    /// </summary>
    [Fact]
    public void HandOver_KeepsWhatBackwardReturned_UntilTheNextOneIsCalled_AndThenFreesIt()
    {
        Doubled.Returned.Clear();
        Doubled.WereAlive.Clear();
        using var x = ones(8, requires_grad: true);
        var chain = x; // in no dispose scope, which would be a root too
        for (var i = 0; i < 5; i++)
            chain = Doubled.apply(chain, "an argument that is no tensor");

        chain.sum().backward();
        HandedGradients.Release();

        Doubled.WereAlive.ShouldBe([true, true, true, true]);
        Trainings.Values(x.grad!.to(ScalarType.Float64)).ShouldAllBe(gradient => gradient == 32);
        Collect();
        Doubled.Returned.ShouldAllBe(returned => !returned.IsAlive);
    }

    private static void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
    }

    private sealed class Doubled : autograd.SingleTensorFunction<Doubled>
    {
        public static List<WeakReference> Returned { get; } = [];

        /// <summary>Whether what the function before returned was still there, after a collection.</summary>
        public static List<bool> WereAlive { get; } = [];

        public override string Name => nameof(Doubled);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).mul(2);

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            if (Returned.Count > 0)
            {
                Collect();
                WereAlive.Add(Returned[^1].IsAlive);
            }

            return Return(grad_output);
        }

        // Apart, so that no local of backward is a root.
        private static List<Tensor> Return(Tensor received)
        {
            var gradient = received.mul(2);
            Returned.Add(new WeakReference(gradient));
            return HandedGradients.HandOver(received, gradient, null);
        }
    }

    /// <summary>Four layers that run in whichever order, some more than once.</summary>
    private sealed class Permuted : ImageClassifier
    {
        private readonly nn.Module<Tensor, Tensor> a = nn.Linear(4, 4, dtype: ScalarType.Float64);
        private readonly nn.Module<Tensor, Tensor> b = nn.Linear(4, 4, dtype: ScalarType.Float64);
        private readonly nn.Module<Tensor, Tensor> c = nn.Linear(4, 4, dtype: ScalarType.Float64);
        private readonly nn.Module<Tensor, Tensor> d = nn.Linear(4, 4, dtype: ScalarType.Float64);

        public Permuted()
            : base("permuted", new ClassifierShape(1, 4, 4), new StepPosition(0)) => RegisterComponents();

        public string Order { get; set; } = "";

        public override Tensor forward(Tensor input) =>
            Order.Aggregate(input, (x, layer) => (layer switch { 'a' => a, 'b' => b, 'c' => c, _ => d }).call(x));
    }
}
