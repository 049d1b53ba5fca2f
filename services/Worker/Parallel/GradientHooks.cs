using System.Runtime.ExceptionServices;
using Cluster.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Tells within backward which buckets have all their gradients. Each bucket has one <see cref="GradientReady"/>, in front of the layer of
/// its parameters that runs first in forward and so last in backward: every further one would cost a tensor of its layer's input.
/// </summary>
/// <remarks>
/// In which order layers run is noted at each forward and expected of the next; of the first, the order in which they are registered.
/// Should a forward run in another order than expected, what its hooks say counts for nothing, and its buckets are sent after backward.
/// </remarks>
internal sealed class GradientHooks : IDisposable
{
    private readonly Action<int> ready;
    private readonly int[][] bucketsOf; // of each layer that has parameters in some
    private readonly List<Action> removals = [];
    private readonly bool[] hasRun; // of each layer, in this forward
    private readonly List<int> ran = []; // those that have, in order
    private int[] expected;
    private ILookup<int, int> reports; // buckets by the layer that completes them
    private bool watching;
    private bool inOrder;
    private ExceptionDispatchInfo? fault;

    /// <param name="network">Whose layers are watched.</param>
    /// <param name="bucketOf">Bucket of each parameter by name; others are left alone.</param>
    /// <param name="ready">Called within backward with a bucket.</param>
    public GradientHooks(ImageClassifier network, IReadOnlyDictionary<string, int> bucketOf, Action<int> ready)
    {
        this.ready = ready;
        var buckets = new List<int[]>();
        foreach (var (name, module) in network.named_modules())
        {
            var own = module.named_parameters(recurse: false).Select(p => name + "." + p.name).Where(bucketOf.ContainsKey)
                .Select(p => bucketOf[p]).ToHashSet();
            if (own.Count == 0 || module is not nn.Module<Tensor, Tensor> layer)
                continue;
            var index = buckets.Count;
            buckets.Add([.. own]);
            removals.Add(layer.register_forward_pre_hook((_, input) => Watch(index, input)).remove);
        }

        bucketsOf = [.. buckets];
        hasRun = new bool[bucketsOf.Length];
        (expected, reports) = Expect(Enumerable.Range(0, bucketsOf.Length));
    }

    /// <summary>Runs a forward pass, whose backward pass tells if it is the last of the step that adds to the gradients.</summary>
    public T Forward<T>(bool gradientsAreFinal, Func<T> forward)
    {
        if (!gradientsAreFinal)
            return forward();
        ran.Clear();
        Array.Clear(hasRun);
        (watching, inOrder) = (true, true);
        try
        {
            return forward();
        }
        finally
        {
            watching = false;
            Learn();
        }
    }

    /// <summary>Throws what could not pass through libtorch, after backward.</summary>
    public void ThrowIfFaulted() => fault?.Throw();

    public void Dispose() => removals.ForEach(remove => remove());

    private Tensor Watch(int layer, Tensor input)
    {
        if (!watching || hasRun[layer])
            return input; // a layer that runs again has its gradients only where it ran first
        hasRun[layer] = true;
        var place = ran.Count;
        ran.Add(layer);
        inOrder &= place < expected.Length && expected[place] == layer;
        if (!input.requires_grad || !reports.Contains(layer))
            return input; // nothing will come back through here; what the layer has is sent after backward
        return GradientReady.apply(input, (Action)(() => OnReached(layer)));
    }

    private void Learn()
    {
        inOrder &= ran.Count == expected.Length;
        if (!inOrder)
            (expected, reports) = Expect(ran);
    }

    private (int[] Expected, ILookup<int, int> Reports) Expect(IEnumerable<int> layers)
    {
        var order = layers.ToArray();
        return (order, order.SelectMany(layer => bucketsOf[layer].Select(bucket => (Layer: layer, Bucket: bucket)))
            .DistinctBy(pair => pair.Bucket)
            .ToLookup(pair => pair.Layer, pair => pair.Bucket));
    }

    private void OnReached(int layer)
    {
        if (!inOrder)
            return;
        try
        {
            foreach (var bucket in reports[layer])
                ready(bucket);
        }
        catch (Exception e)
        {
            fault ??= ExceptionDispatchInfo.Capture(e);
        }
    }
}
