using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// All gradients of a network in one flat tensor, of which each parameter's <c>grad</c> is a view, cut into buckets that are summed
/// over the ranks one by one, in shared memory where the ranks share a node.
/// </summary>
/// <remarks>
/// Parameters lie in reverse order of registration, because backward reaches the last layers first. Buckets are sent off strictly in
/// order, each once all its gradients are there: the order must be the same on every rank.
/// </remarks>
internal sealed class GradientBuckets : IDisposable
{
    /// <summary>Parameters begin on cache lines.</summary>
    private const int AlignmentBytes = 64;

    private readonly ICollectiveGroup group;
    private readonly IReadOnlyList<LocalParameter> parameters;
    private readonly Tensor? mapped; // the whole file up to this rank's part; null without shared memory
    private readonly Tensor flat;
    private readonly nint[] addresses;
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
            mapped = from_file(shared.Path, shared: true, size: (shared.Offset + shared.Bytes) / plan.ElementBytes, dtype: dtype).DetachFromDisposeScope();
            flat = mapped.narrow(0, shared.Offset / plan.ElementBytes, plan.Elements).DetachFromDisposeScope();
            shared.Address = TensorMemory.AddressOf(flat);
        }

        ElementBytes = plan.ElementBytes;
        Start = TensorMemory.AddressOf(flat);
        addresses = [.. plan.Offsets.Select(offset => Start + (nint)(offset * ElementBytes))];
        for (var i = 0; i < parameters.Count; i++)
        {
            using var view = flat.narrow(0, plan.Offsets[i], parameters[i].Tensor.numel()).view(parameters[i].Tensor.shape);
            parameters[i].Tensor.grad = view;
        }
    }

    public IReadOnlyList<LocalParameter> Parameters => parameters;

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

    /// <summary>Before forward: gradients are zero and no bucket has anything.</summary>
    public void Begin()
    {
        using var guard = no_grad();
        flat.zero_();
        underWay.Clear();
        nextToSend = 0;
        foreach (var bucket in buckets)
            bucket.Missing = bucket.Parameters;
    }

    /// <summary>Within backward: these parameters have their gradients. Sends off what has become complete.</summary>
    public void Ready(int[] indexes)
    {
        foreach (var index in indexes)
            buckets[bucketOf[index]].Missing--;
        while (nextToSend < buckets.Count && buckets[nextToSend].Missing == 0)
            Send(nextToSend++);
    }

    /// <summary>After backward: sends off the rest and waits until all sums are there.</summary>
    public void Finish()
    {
        RequireViews();
        while (nextToSend < buckets.Count)
            Send(nextToSend++);
        foreach (var task in underWay)
            task.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var parameter in parameters)
            parameter.Tensor.grad = null;
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

    /// <summary>A gradient that no longer lies in its bucket would not be summed, and ranks would drift apart unseen.</summary>
    private void RequireViews()
    {
        for (var i = 0; i < parameters.Count; i++)
        {
            using var grad = parameters[i].Tensor.grad;
            if (grad is null || TensorMemory.AddressOf(grad) != addresses[i])
            {
                throw new InvalidOperationException(
                    $"the gradient of {parameters[i].Name} has left its bucket: something has called zero_grad() or has set grad");
            }
        }
    }

    private sealed class Bucket(long start)
    {
        public long Start { get; } = start;

        public int Elements { get; set; }

        public int Parameters { get; set; }

        public int Missing { get; set; }
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
                buckets[^1].Parameters++;
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
                _ => throw new NotSupportedException($"gradients are summed in float32 or float64; the parameters are {string.Join(" and ", dtypes)}"),
            };
        }
    }
}
