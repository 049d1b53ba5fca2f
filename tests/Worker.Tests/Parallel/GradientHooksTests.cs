using System.Runtime.ExceptionServices;
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

    /// <summary>A GPU's backward functions are called by a thread of libtorch's own, which another one stands for here.</summary>
    [Fact]
    public void Release_WhereTheGraphWasBuilt_FreesWhatAnotherThreadHandedOver()
    {
        using var x = ones(8, requires_grad: true);
        var handed = new List<Tensor>();
        var y = Listed.apply(x, handed);
        OnAnotherThread(() => y.sum().backward());
        handed.ShouldHaveSingleItem().IsInvalid.ShouldBeFalse();

        HandedGradients.Release();

        handed[0].IsInvalid.ShouldBeTrue();
    }

    /// <summary>libtorch may not have taken it yet: only who called backward knows when it has ended.</summary>
    [Fact]
    public void Release_LeavesWhatWasHandedOverForAGraphThatWasBuiltElsewhere()
    {
        using var x = ones(8, requires_grad: true);
        var handed = new List<Tensor>();
        Tensor? y = null;
        OnAnotherThread(() => y = Listed.apply(x, handed));
        y!.sum().backward(); // this thread stands for libtorch's

        HandedGradients.Release();

        using var gradient = handed.ShouldHaveSingleItem();
        gradient.IsInvalid.ShouldBeFalse();
    }

    private static void OnAnotherThread(Action action)
    {
        ExceptionDispatchInfo? fault = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                fault = ExceptionDispatchInfo.Capture(e);
            }
        })
        { IsBackground = true };
        thread.Start();
        thread.Join(TimeSpan.FromMinutes(1)).ShouldBeTrue();
        fault?.Throw();
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

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            HandedGradients.Prepare(ctx);
            return ((Tensor)vars[0]).mul(2);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            if (Returned.Count > 0)
            {
                Collect();
                WereAlive.Add(Returned[^1].IsAlive);
            }

            return Return(ctx, grad_output);
        }

        // Apart, so that no local of backward is a root.
        private static List<Tensor> Return(autograd.AutogradContext ctx, Tensor received)
        {
            var gradient = received.mul(2);
            Returned.Add(new WeakReference(gradient));
            return HandedGradients.HandOver(ctx, received, gradient, null);
        }
    }

    /// <summary>Lists what it hands over.</summary>
    private sealed class Listed : autograd.SingleTensorFunction<Listed>
    {
        private const string Handed = "handed";

        public override string Name => nameof(Listed);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(Handed, vars[1]);
            HandedGradients.Prepare(ctx);
            return ((Tensor)vars[0]).mul(2);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var gradient = grad_output.mul(2);
            ((List<Tensor>)ctx.get_data(Handed)!).Add(gradient);
            return HandedGradients.HandOver(ctx, grad_output, gradient, null);
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
