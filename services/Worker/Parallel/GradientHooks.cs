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
    private readonly Action<int> _ready;
    private readonly int[][] _bucketsOf; // of each layer that has parameters in some
    private readonly List<Action> _removals = [];
    private readonly bool[] _hasRun; // of each layer, in this forward
    private readonly List<int> _ran = []; // those that have, in order
    private int[] _expected;
    private ILookup<int, int> _reports; // buckets by the layer that completes them
    private bool _watching;
    private bool _inOrder;
    private ExceptionDispatchInfo? _fault;

    /// <param name="network">Whose layers are watched.</param>
    /// <param name="bucketOf">Bucket of each parameter by name; others are left alone.</param>
    /// <param name="ready">Called within backward with a bucket.</param>
    public GradientHooks(ImageClassifier network, IReadOnlyDictionary<string, int> bucketOf, Action<int> ready)
    {
        _ready = ready;
        var buckets = new List<int[]>();
        foreach (var (name, module) in network.named_modules())
        {
            var own = module.named_parameters(recurse: false).Select(p => name + "." + p.name).Where(bucketOf.ContainsKey)
                .Select(p => bucketOf[p]).ToHashSet();
            if (own.Count == 0 || module is not nn.Module<Tensor, Tensor> layer)
                continue;
            var index = buckets.Count;
            buckets.Add([.. own]);
            _removals.Add(layer.register_forward_pre_hook((_, input) => Watch(index, input)).remove);
        }

        _bucketsOf = [.. buckets];
        _hasRun = new bool[_bucketsOf.Length];
        (_expected, _reports) = Expect(Enumerable.Range(0, _bucketsOf.Length));
    }

    /// <summary>Runs a forward pass, whose backward pass tells if it is the last of the step that adds to the gradients.</summary>
    public T Forward<T>(bool gradientsAreFinal, Func<T> forward)
    {
        if (!gradientsAreFinal)
            return forward();
        _ran.Clear();
        Array.Clear(_hasRun);
        (_watching, _inOrder) = (true, true);
        try
        {
            return forward();
        }
        finally
        {
            _watching = false;
            Learn();
        }
    }

    /// <summary>Throws what could not pass through libtorch, after backward.</summary>
    public void ThrowIfFaulted() => _fault?.Throw();

    public void Dispose() => _removals.ForEach(remove => remove());

    private Tensor Watch(int layer, Tensor input)
    {
        if (!_watching || _hasRun[layer])
            return input; // a layer that runs again has its gradients only where it ran first
        _hasRun[layer] = true;
        var place = _ran.Count;
        _ran.Add(layer);
        _inOrder &= place < _expected.Length && _expected[place] == layer;
        if (!input.requires_grad || !_reports.Contains(layer))
            return input; // nothing will come back through here; what the layer has is sent after backward
        return GradientReady.apply(input, (Action)(() => OnReached(layer)));
    }

    private void Learn()
    {
        _inOrder &= _ran.Count == _expected.Length;
        if (!_inOrder)
            (_expected, _reports) = Expect(_ran);
    }

    private (int[] Expected, ILookup<int, int> Reports) Expect(IEnumerable<int> layers)
    {
        var order = layers.ToArray();
        return (order, order.SelectMany(layer => _bucketsOf[layer].Select(bucket => (Layer: layer, Bucket: bucket)))
            .DistinctBy(pair => pair.Bucket)
            .ToLookup(pair => pair.Layer, pair => pair.Bucket));
    }

    private void OnReached(int layer)
    {
        if (!_inOrder)
            return;
        try
        {
            foreach (var bucket in _reports[layer])
                _ready(bucket);
        }
        catch (Exception e)
        {
            _fault ??= ExceptionDispatchInfo.Capture(e);
        }
    }
}
