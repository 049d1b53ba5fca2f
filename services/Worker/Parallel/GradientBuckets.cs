using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// All gradients of a network in one flat tensor, of which each parameter's <c>grad</c> is a view once backward has reached it, cut into
/// buckets that are summed over the ranks one by one, in shared memory where the ranks share a node.
/// </summary>
/// <remarks>
/// Parameters lie in reverse order of registration, because backward reaches the last layers first. Buckets are sent off strictly in order,
/// each once all its gradients are there: the order must be the same on every rank. Backward leaves its own tensors, which are copied here:
/// to clear the buckets and have it add to them takes twice as many passes over memory.
/// </remarks>
internal sealed class GradientBuckets : IDisposable
{
    /// <summary>Parameters begin on cache lines.</summary>
    private const int AlignmentBytes = 64;

    private readonly ICollectiveGroup _group;
    private readonly IReadOnlyList<LocalParameter> _parameters;
    private readonly Tensor? _mapped; // the whole file up to this rank's part; null without shared memory
    private readonly Tensor _flat;
    private readonly Tensor[] _places; // of each parameter's gradient
    private readonly int[] _bucketOf;
    private readonly List<Bucket> _buckets;
    private readonly List<Task> _underWay = [];
    private int _nextToSend;

    private GradientBuckets(ICollectiveGroup group, IReadOnlyList<LocalParameter> parameters, Plan plan, SharedBuffer? shared)
    {
        _group = group;
        _parameters = parameters;
        _bucketOf = plan.BucketOf;
        _buckets = plan.Buckets;
        var dtype = parameters[0].Tensor.dtype;
        if (shared is null)
        {
            _flat = zeros(plan.Elements, dtype: dtype, device: parameters[0].Tensor.device).DetachFromDisposeScope();
        }
        else
        {
            _mapped = from_file(shared.Path, shared: true, size: (shared.Offset + shared.Bytes) / plan.ElementBytes, dtype: dtype)
                .DetachFromDisposeScope();
            _flat = _mapped.narrow(0, shared.Offset / plan.ElementBytes, plan.Elements).DetachFromDisposeScope();
            shared.Address = TensorMemory.AddressOf(_flat);
        }

        ElementBytes = plan.ElementBytes;
        Start = TensorMemory.AddressOf(_flat);
        _places = [.. parameters.Zip(plan.Offsets, PlaceAt)];
        foreach (var (parameter, place) in parameters.Zip(_places))
            parameter.Tensor.grad = place;
    }

    public IReadOnlyList<LocalParameter> Parameters => _parameters;

    /// <summary>Which bucket each parameter is in, by name.</summary>
    public IReadOnlyDictionary<string, int> BucketOf =>
        _parameters.Zip(_bucketOf).ToDictionary(pair => pair.First.Name, pair => pair.Second);

    public bool IsShared => _mapped is not null;

    public int Count => _buckets.Count;

    /// <summary>Buckets sent off so far in this step.</summary>
    public int Sent => _nextToSend;

    /// <summary>Where all of them lie, and how many bytes they take.</summary>
    internal (nint Start, long Bytes) Memory => (Start, _flat.numel() * ElementBytes);

    private nint Start { get; }

    private int ElementBytes { get; }

    public static async Task<GradientBuckets> CreateAsync(
        ICollectiveGroup group, IReadOnlyList<LocalParameter> parameters, GradientOptions options, CancellationToken cancellationToken)
    {
        var plan = Plan.For(parameters, options.BucketBytes);
        var shared = parameters[0].Tensor.device_type == DeviceType.CPU
            ? await group.ReserveSharedBufferAsync("gradients", plan.Elements * plan.ElementBytes, cancellationToken)
            : null; // on a device, where the exchange finds them
        return new GradientBuckets(group, parameters, plan, shared);
    }

    /// <summary>Before forward: there are no gradients, and no bucket has anything.</summary>
    public void Begin()
    {
        foreach (var parameter in _parameters)
            parameter.Tensor.grad = null;
        _underWay.Clear();
        _nextToSend = 0;
        foreach (var bucket in _buckets)
            bucket.IsComplete = false;
    }

    /// <summary>One rank's part of all gradients, which every rank has once they are summed: flat, in the current dispose scope.</summary>
    public Tensor Share()
    {
        var (start, count) = Slices.Of(checked((int)_flat.numel()), _group.WorldSize, _group.Rank);
        return _flat.narrow(0, start, count);
    }

    /// <summary>Those of a bucket.</summary>
    public IEnumerable<LocalParameter> ParametersOf(int bucket) => _parameters.Where((_, index) => _bucketOf[index] == bucket);

    /// <summary>Within backward: a bucket's parameters have their gradients. Sends off what is complete and next.</summary>
    public void Ready(int bucket)
    {
        TakeAll(bucket);
        _buckets[bucket].IsComplete = true;
        while (_nextToSend < _buckets.Count && _buckets[_nextToSend].IsComplete)
            Send(_nextToSend++);
    }

    /// <summary>After backward: sends off the rest, zeros for what it has not reached, and waits until all sums are there.</summary>
    public void Finish()
    {
        for (; _nextToSend < _buckets.Count; _nextToSend++)
        {
            if (!_buckets[_nextToSend].IsComplete)
                TakeAll(_nextToSend);
            Send(_nextToSend);
        }

        foreach (var task in _underWay)
            task.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var parameter in _parameters)
            parameter.Tensor.grad = null;
        foreach (var place in _places)
            place.Dispose();
        _flat.Dispose();
        _mapped?.Dispose();
    }

    private void Send(int index)
    {
        var bucket = _buckets[index];
        var address = Start + (nint)(bucket.Start * ElementBytes);
        var name = $"gradients/{index}";
        _underWay.Add(ElementBytes == sizeof(double)
            ? _group.AllReduceAsync<double>(address, bucket.Elements, name)
            : _group.AllReduceAsync<float>(address, bucket.Elements, name));
    }

    private void TakeAll(int bucket)
    {
        using var guard = no_grad();
        for (var i = 0; i < _parameters.Count; i++)
        {
            if (_bucketOf[i] == bucket)
                Take(i);
        }
    }

    /// <summary>Moves a gradient to its place, unless it is there.</summary>
    private void Take(int index)
    {
        var place = _places[index];
        using var gradient = _parameters[index].Tensor.grad;
        if (gradient is null)
            place.zero_();
        else if (TensorMemory.AddressOf(gradient) != TensorMemory.AddressOf(place))
            place.copy_(gradient);
        _parameters[index].Tensor.grad = place;
    }

    private Tensor PlaceAt(LocalParameter parameter, long offset)
    {
        using var line = _flat.narrow(0, offset, parameter.Tensor.numel());
        return line.view(parameter.Tensor.shape).DetachFromDisposeScope();
    }

    private sealed class Bucket(long start)
    {
        public long Start { get; } = start;

        public int Elements { get; set; }

        public bool IsComplete { get; set; }
    }

    /// <summary>Which parameter lies where.</summary>
    private sealed record Plan(long[] Offsets, int[] BucketOf, List<Bucket> Buckets, long Elements, int ElementBytes)
    {
        public static Plan For(IReadOnlyList<LocalParameter> parameters, int bucketBytes)
        {
            var elementBytes = ElementBytesOf(parameters);
            var alignment = AlignmentBytes / elementBytes;
            var offsets = new long[parameters.Count];
            var bucketOf = new int[parameters.Count];
            var buckets = new List<Bucket>();
            var end = 0L;
            for (var i = parameters.Count - 1; i >= 0; i--)
            {
                if (buckets.Count == 0 || (long)buckets[^1].Elements * elementBytes >= bucketBytes)
                    buckets.Add(new Bucket(end));
                offsets[i] = end;
                bucketOf[i] = buckets.Count - 1;
                end += (parameters[i].Tensor.numel() + alignment - 1) / alignment * alignment;
                buckets[^1].Elements = checked((int)(end - buckets[^1].Start));
            }

            return new Plan(offsets, bucketOf, buckets, end, elementBytes);
        }

        private static int ElementBytesOf(IReadOnlyList<LocalParameter> parameters)
        {
            var dtypes = parameters.Select(p => p.Tensor.dtype).Distinct().ToList();
            return dtypes switch
            {
                [ScalarType.Float32] => sizeof(float),
                [ScalarType.Float64] => sizeof(double),
                _ => throw new NotSupportedException(
                    $"gradients are summed in float32 or float64; the parameters are {string.Join(" and ", dtypes)}"),
            };
        }
    }
}
