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

    private readonly ICollectiveGroup group;
    private readonly IReadOnlyList<LocalParameter> parameters;
    private readonly Tensor? mapped; // the whole file up to this rank's part; null without shared memory
    private readonly Tensor flat;
    private readonly Tensor[] places; // of each parameter's gradient
    private readonly int[] bucketOf;
    private readonly List<Bucket> buckets;
    private readonly List<Task> underWay = [];
    private int nextToSend;

    private GradientBuckets(ICollectiveGroup group, IReadOnlyList<LocalParameter> parameters, Plan plan, SharedBuffer? shared)
    {
        this.group = group;
        this.parameters = parameters;
        bucketOf = plan.BucketOf;
        buckets = plan.Buckets;
        var dtype = parameters[0].Tensor.dtype;
        if (shared is null)
        {
            flat = zeros(plan.Elements, dtype: dtype, device: parameters[0].Tensor.device).DetachFromDisposeScope();
        }
        else
        {
            mapped = from_file(shared.Path, shared: true, size: (shared.Offset + shared.Bytes) / plan.ElementBytes, dtype: dtype)
                .DetachFromDisposeScope();
            flat = mapped.narrow(0, shared.Offset / plan.ElementBytes, plan.Elements).DetachFromDisposeScope();
            shared.Address = TensorMemory.AddressOf(flat);
        }

        ElementBytes = plan.ElementBytes;
        Start = TensorMemory.AddressOf(flat);
        places = [.. parameters.Zip(plan.Offsets, PlaceAt)];
        foreach (var (parameter, place) in parameters.Zip(places))
            parameter.Tensor.grad = place;
    }

    public IReadOnlyList<LocalParameter> Parameters => parameters;

    /// <summary>Which bucket each parameter is in, by name.</summary>
    public IReadOnlyDictionary<string, int> BucketOf => parameters.Zip(bucketOf).ToDictionary(pair => pair.First.Name, pair => pair.Second);

    public bool IsShared => mapped is not null;

    public int Count => buckets.Count;

    /// <summary>Buckets sent off so far in this step.</summary>
    public int Sent => nextToSend;

    /// <summary>Where all of them lie, and how many bytes they take.</summary>
    internal (nint Start, long Bytes) Memory => (Start, flat.numel() * ElementBytes);

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
        foreach (var parameter in parameters)
            parameter.Tensor.grad = null;
        underWay.Clear();
        nextToSend = 0;
        foreach (var bucket in buckets)
            bucket.IsComplete = false;
    }

    /// <summary>One rank's part of all gradients, which every rank has once they are summed: flat, in the current dispose scope.</summary>
    public Tensor Share()
    {
        var (start, count) = Slices.Of(checked((int)flat.numel()), group.WorldSize, group.Rank);
        return flat.narrow(0, start, count);
    }

    /// <summary>Those of a bucket.</summary>
    public IEnumerable<LocalParameter> ParametersOf(int bucket) => parameters.Where((_, index) => bucketOf[index] == bucket);

    /// <summary>Within backward: a bucket's parameters have their gradients. Sends off what is complete and next.</summary>
    public void Ready(int bucket)
    {
        TakeAll(bucket);
        buckets[bucket].IsComplete = true;
        while (nextToSend < buckets.Count && buckets[nextToSend].IsComplete)
            Send(nextToSend++);
    }

    /// <summary>After backward: sends off the rest, zeros for what it has not reached, and waits until all sums are there.</summary>
    public void Finish()
    {
        for (; nextToSend < buckets.Count; nextToSend++)
        {
            if (!buckets[nextToSend].IsComplete)
                TakeAll(nextToSend);
            Send(nextToSend);
        }

        foreach (var task in underWay)
            task.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var parameter in parameters)
            parameter.Tensor.grad = null;
        foreach (var place in places)
            place.Dispose();
        flat.Dispose();
        mapped?.Dispose();
    }

    private void Send(int index)
    {
        var bucket = buckets[index];
        var address = Start + (nint)(bucket.Start * ElementBytes);
        var name = $"gradients/{index}";
        underWay.Add(ElementBytes == sizeof(double)
            ? group.AllReduceAsync<double>(address, bucket.Elements, name)
            : group.AllReduceAsync<float>(address, bucket.Elements, name));
    }

    private void TakeAll(int bucket)
    {
        using var guard = no_grad();
        for (var i = 0; i < parameters.Count; i++)
        {
            if (bucketOf[i] == bucket)
                Take(i);
        }
    }

    /// <summary>Moves a gradient to its place, unless it is there.</summary>
    private void Take(int index)
    {
        var place = places[index];
        using var gradient = parameters[index].Tensor.grad;
        if (gradient is null)
            place.zero_();
        else if (TensorMemory.AddressOf(gradient) != TensorMemory.AddressOf(place))
            place.copy_(gradient);
        parameters[index].Tensor.grad = place;
    }

    private Tensor PlaceAt(LocalParameter parameter, long offset)
    {
        using var line = flat.narrow(0, offset, parameter.Tensor.numel());
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
