using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// A replica of the network on every rank, each on its slice of the global batch; gradients are summed over the ranks while backward still
/// runs.
/// </summary>
/// <remarks>
/// Layers may be divided over the same ranks (<see cref="HybridParallel"/>): theirs are gradients of the whole batch already.
/// </remarks>
public sealed class DataParallel : ITrainingPartition
{
    private readonly ICollectiveGroup group;
    private readonly SummedLoss loss;
    private readonly MasterWeights masters;
    private readonly GradientBuckets buckets;
    private readonly IReadOnlyList<LocalParameter> replicated; // whose gradients are summed
    private readonly IReadOnlyList<LocalParameter> divided;
    private readonly ChannelExchange? exchange; // of the divided layers
    private readonly IReadOnlyList<ICollectiveGroup> axes; // of a mesh, which live as long as this
    private readonly WholeBatchStatistics? statistics;
    private readonly GradientHooks hooks;
    private readonly bool talksInForward; // then even a rank without samples passes through, or the others would wait for it
    private bool weightsCompared;

    private DataParallel(
        ImageClassifier network, MasterWeights masters, IReadOnlyList<LocalParameter> parameters, SummedLoss loss, ICollectiveGroup group,
        GradientBuckets buckets, WholeBatchStatistics? statistics, ChannelExchange? exchange, IReadOnlyList<ICollectiveGroup> axes)
    {
        Network = network;
        this.masters = masters;
        Parameters = parameters;
        replicated = buckets.Parameters;
        divided = [.. parameters.Except(replicated)];
        this.exchange = exchange;
        this.axes = axes;
        this.loss = loss;
        this.group = group;
        this.buckets = buckets;
        this.statistics = statistics;
        talksInForward = exchange is not null || statistics is not null;
        OwnStatistics = statistics is null && network.modules().OfType<BatchNormalization>().Any()
            ? new RankStatistics(network, group)
            : null;
        hooks = new GradientHooks(network, buckets.BucketOf, OnReady);
    }

    public ImageClassifier Network { get; }

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <inheritdoc/>
    public RankStatistics? OwnStatistics { get; }

    /// <inheritdoc/>
    public IEnumerable<Tensor> GradientShare => divided.Select(parameter => parameter.Gradient).Prepend(buckets.Share());

    /// <summary>Buckets that were under way before backward ended, in the last step; for tests of the overlap.</summary>
    internal int SentDuringBackward { get; private set; }

    internal GradientBuckets Buckets => buckets;

    /// <summary>Makes the gradients' buckets, in shared memory where the ranks share a node.</summary>
    /// <param name="network">This rank's replica.</param>
    /// <param name="loss">Of this rank's samples.</param>
    /// <param name="group">The ranks that share the batch.</param>
    /// <param name="options">How gradients travel.</param>
    /// <param name="syncBatchNorm">
    /// Whether batch normalisation is by the statistics of the whole batch, as on one device. Otherwise each rank normalises by its own
    /// slice's, and running statistics are averaged where they are needed.
    /// </param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    /// <param name="inBFloat16">Whether it computes in bfloat16, with its float32 parameters as masters, whose float32 gradients are
    /// summed.</param>
    /// <exception cref="NotSupportedException">The network cannot be split by data here; the message says why and what to do.</exception>
    public static Task<DataParallel> CreateAsync(
        ImageClassifier network, SummedLoss loss, ICollectiveGroup group, GradientOptions options, bool syncBatchNorm,
        CancellationToken cancellationToken, bool inBFloat16 = false) => CreateAsync(
            network, inBFloat16 ? MasterWeights.Narrow(network) : MasterWeights.None, loss, group, options, syncBatchNorm,
            ChannelSplit.None, exchange: null, cancellationToken);

    internal static async Task<DataParallel> CreateAsync(
        ImageClassifier network, MasterWeights masters, SummedLoss loss, ICollectiveGroup group, GradientOptions options,
        bool syncBatchNorm, ChannelSplit split, ChannelExchange? exchange, CancellationToken cancellationToken)
    {
        var parameters = masters.Of(LocalParameters.Of(network, name => group.Rank == 0 || split.Divides(name)));
        LocalParameters.RequireReachable(parameters, group);
        var replicated = parameters.Where(parameter => !split.Divides(parameter.Name)).ToList();
        var buckets = await GradientBuckets.CreateAsync(group, replicated, options, cancellationToken);
        var statistics = syncBatchNorm ? await WholeBatchStatistics.AttachAsync(network, group, cancellationToken) : null;
        return new DataParallel(network, masters, parameters, loss, group, buckets, statistics, exchange, axes: []);
    }

    /// <summary>Copies of a divided network: every rank sums the gradients of all it holds with those who hold the same part.</summary>
    internal static async Task<DataParallel> CreateAsync(
        ImageClassifier part, SummedLoss loss, ICollectiveGroup dataAxis, GradientOptions options, ChannelExchange exchange,
        IReadOnlyList<ICollectiveGroup> axes, CancellationToken cancellationToken)
    {
        var parameters = LocalParameters.Of(part, isOwner: dataAxis.Rank == 0);
        LocalParameters.RequireReachable(parameters, dataAxis);
        var buckets = await GradientBuckets.CreateAsync(dataAxis, parameters, options, cancellationToken);
        return new DataParallel(part, MasterWeights.None, parameters, loss, dataAxis, buckets, statistics: null, exchange, axes);
    }

    public SampleRange LocalSamples(int globalBatchSize)
    {
        var (start, count) = Slices.Of(globalBatchSize, group.WorldSize, group.Rank);
        return new SampleRange(start, count);
    }

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        if (!weightsCompared)
            ReplicaWeights.RequireEqual(group, replicated);
        weightsCompared = true;
        using var scope = NewDisposeScope();
        masters.Publish();
        buckets.Begin();
        statistics?.Begin();
        OwnStatistics?.Begin((double)LocalSamples(batch.GlobalBatchSize).Count / batch.GlobalBatchSize);
        exchange?.Begin();
        foreach (var parameter in divided)
            parameter.Tensor.grad = null;

        var totals = new PassTotals();
        var passes = Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize));
        foreach (var (part, samples) in passes.SkipLast(1))
        {
            using var passScope = NewDisposeScope();
            var earlier = Forward(part, samples, gradientsAreFinal: false);
            totals.EndForward(Exchanged);
            earlier?.Backward(batch.GlobalBatchSize);
            ThrowIfFaulted();
            masters.TakeGradients();
            totals.EndBackward(earlier, Exchanged);
        }

        var pass = Forward(passes[^1].Batch, passes[^1].Samples, gradientsAreFinal: true);
        totals.EndForward(Exchanged);
        pass?.Backward(batch.GlobalBatchSize);
        ThrowIfFaulted();
        masters.TakeGradients();
        SentDuringBackward = buckets.Sent;
        totals.EndBackward(pass, Exchanged);

        buckets.Finish();
        var times = new StepTimes(totals.Forward, totals.Backward, totals.Lap() + Exchanged);
        // The parts of a copy all have its loss.
        return axes.Count == 0 || exchange!.IsFirst ? new StepShare(totals.LossSum, totals.Correct, times) : StepShare.None(times);
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        masters.Publish();
        var local = LocalSamples(batch.GlobalBatchSize);
        LocalPass? pass = local.Count == 0 && exchange is null ? null : LocalPass.Forward(Network, batch, local, loss);
        var (lossSum, correct) = pass?.Read() ?? default;
        Span<double> sums = [lossSum, correct];
        group.AllReduce(sums, "evaluation");
        if (axes.Count > 0)
            exchange!.Agree(sums);
        return new EvaluationOutcome(sums[0], (long)sums[1]);
    }

    public void Dispose()
    {
        hooks.Dispose();
        buckets.Dispose();
        statistics?.Dispose();
        Network.Dispose();
        masters.Dispose();
        foreach (var axis in axes)
            axis.Dispose();
    }

    /// <summary>Time that computation stood still for exchanges.</summary>
    private TimeSpan Exchanged => (statistics?.Elapsed ?? TimeSpan.Zero) + (exchange?.Elapsed ?? TimeSpan.Zero);

    private void ThrowIfFaulted()
    {
        hooks.ThrowIfFaulted();
        exchange?.ThrowIfFaulted();
        statistics?.ThrowIfFaulted();
    }

    private LocalPass? Forward(TrainingBatch batch, SampleRange local, bool gradientsAreFinal)
    {
        if (local.Count == 0 && !talksInForward)
            return null; // fewer samples than ranks: this one only adds zeros
        // A bucket may go only when its last pass has added to it.
        return hooks.Forward<LocalPass?>(gradientsAreFinal, () => LocalPass.Forward(Network, batch, local, loss));
    }

    private void OnReady(int bucket)
    {
        foreach (var parameter in buckets.ParametersOf(bucket))
            masters.TakeGradient(parameter.Name);
        buckets.Ready(bucket);
    }
}
