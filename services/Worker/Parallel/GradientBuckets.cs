using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// All gradients of a network in one flat tensor, cut into buckets that are summed over the ranks one by one, in shared memory where the
/// ranks share a node.
/// </summary>
/// <remarks>
/// Buckets are sent off strictly in order, each once all its gradients are there: the order must be the same on every rank. Backward
/// leaves its own tensors, which are copied here: to clear the buckets and have it add to them takes twice as many passes over memory.
/// Where buckets are sharded, each rank gets the sums of its share of every bucket alone, and what lies beside it is of no use after the
/// step.
/// </remarks>
internal sealed class GradientBuckets : FlatGradients
{
    private readonly Tensor? _mapped; // the whole file up to this rank's part; null without shared memory
    private readonly bool[] _isComplete; // of each bucket
    private readonly List<Task> _pending = [];

    private GradientBuckets(ICollectiveGroup group, FlatLayout layout, bool sharded, Tensor flat, Tensor? mapped)
        : base(layout, flat)
    {
        (Group, IsSharded, _mapped) = (group, sharded, mapped);
        _isComplete = new bool[layout.Buckets.Count];
    }

    /// <summary>The ranks that sum.</summary>
    public ICollectiveGroup Group { get; }

    /// <summary>Whether each rank gets the sums of its share alone.</summary>
    public bool IsSharded { get; }

    /// <summary>Which bucket each parameter is in, by name.</summary>
    public IReadOnlyDictionary<string, int> BucketOf =>
        Parameters.Zip(Layout.BucketOf).ToDictionary(pair => pair.First.Name, pair => pair.Second);

    public bool IsShared => _mapped is not null;

    public int Count => _isComplete.Length;

    /// <summary>Buckets sent off so far in this step.</summary>
    public int Sent { get; private set; }

    /// <summary>After <see cref="Finish"/>: all of the gradient that this rank has, in the current dispose scope.</summary>
    public IEnumerable<Tensor> Summed => IsSharded ? Share : [Flat];

    /// <summary>
    /// After <see cref="Finish"/>: this rank's part of the gradient, of which each element is one rank's, in the current dispose scope.
    /// </summary>
    public IEnumerable<Tensor> Share => Enumerable.Range(0, Count).Select(ShareOf).Where(share => share.Count > 0)
        .Select(share => Flat.narrow(0, share.Start, share.Count));

    /// <summary>Where all of them lie, and how many bytes they take.</summary>
    internal (nint Start, long Bytes) Memory => (TensorMemory.AddressOf(Flat), Layout.Elements * Layout.ElementBytes);

    /// <param name="group">The ranks that sum.</param>
    /// <param name="parameters">With gradients of the rank's samples.</param>
    /// <param name="options">How large buckets are.</param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    /// <param name="sharded">Whether each rank is to have the sums of its share alone.</param>
    public static async Task<GradientBuckets> CreateAsync(
        ICollectiveGroup group, IReadOnlyList<LocalParameter> parameters, GradientOptions options, CancellationToken cancellationToken,
        bool sharded = false)
    {
        RequireSummable(parameters);
        var layout = new FlatLayout(parameters, options.BucketBytes);
        var shared = parameters[0].Tensor.device_type == DeviceType.CPU
            ? await group.ReserveSharedBufferAsync("gradients", layout.Elements * layout.ElementBytes, cancellationToken)
            : null; // on a device, where the exchange finds them
        if (shared is null)
            return new GradientBuckets(group, layout, sharded, layout.Zeros(), mapped: null);
        var size = (shared.Offset + shared.Bytes) / layout.ElementBytes;
        var mapped = from_file(shared.Path, shared: true, size: size, dtype: parameters[0].Tensor.dtype).DetachFromDisposeScope();
        var flat = mapped.narrow(0, shared.Offset / layout.ElementBytes, layout.Elements).DetachFromDisposeScope();
        shared.Address = TensorMemory.AddressOf(flat);
        return new GradientBuckets(group, layout, sharded, flat, mapped);
    }

    /// <summary>This rank's elements of a bucket, by their places among all.</summary>
    public (long Start, long Count) ShareOf(int bucket)
    {
        var (start, count) = Layout.Buckets[bucket];
        var share = Shares.Of(count, Group.WorldSize)[Group.Rank];
        return (start + share.Start, share.Count);
    }

    /// <summary>Before forward: there are no gradients, and no bucket has anything.</summary>
    public void Begin()
    {
        DropGradients();
        _pending.Clear();
        Sent = 0;
        Array.Clear(_isComplete);
    }

    /// <summary>Those of a bucket.</summary>
    public IEnumerable<LocalParameter> ParametersOf(int bucket) => Parameters.Where((_, index) => Layout.BucketOf[index] == bucket);

    /// <summary>Within backward: a bucket's parameters have their gradients. Sends off what is complete and next.</summary>
    public void Ready(int bucket)
    {
        CopyGradients(bucket);
        _isComplete[bucket] = true;
        while (Sent < Count && _isComplete[Sent])
            Send(Sent++);
    }

    /// <summary>After backward: sends off the rest, zeros for what it has not reached, and waits until all sums are there.</summary>
    public void Finish()
    {
        for (; Sent < Count; Sent++)
        {
            if (!_isComplete[Sent])
                CopyGradients(Sent);
            Send(Sent);
        }

        foreach (var task in _pending)
            task.GetAwaiter().GetResult();
    }

    public override void Dispose()
    {
        base.Dispose();
        _mapped?.Dispose();
    }

    private static void RequireSummable(IReadOnlyList<LocalParameter> parameters)
    {
        var dtypes = parameters.Select(p => p.Tensor.dtype).Distinct().ToList();
        if (dtypes is not ([ScalarType.Float32] or [ScalarType.Float64]))
        {
            throw new NotSupportedException(
                $"gradients are summed in float32 or float64; the parameters are {string.Join(" and ", dtypes)}");
        }
    }

    private void Send(int bucket) => _pending.Add(Layout.ElementBytes == sizeof(double) ? Send<double>(bucket) : Send<float>(bucket));

    private Task Send<T>(int bucket)
        where T : unmanaged
    {
        var (start, count) = Layout.Buckets[bucket];
        var address = Memory.Start + (nint)(start * Layout.ElementBytes);
        var name = $"gradients/{bucket}";
        return IsSharded ? Group.ReduceScatterAsync<T>(address, count, name) : Group.AllReduceAsync<T>(address, count, name);
    }

    private void CopyGradients(int bucket)
    {
        using var guard = no_grad();
        for (var i = 0; i < Parameters.Count; i++)
        {
            if (Layout.BucketOf[i] == bucket)
                CopyGradient(i);
        }
    }
}
