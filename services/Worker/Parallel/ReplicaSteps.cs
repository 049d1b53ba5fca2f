using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// The steps of ranks that hold the same parameters and work on a slice of the global batch each: gradients of these parameters are
/// summed over the ranks while backward still runs. What else a rank holds, and what its passes exchange besides, is up to the split.
/// </summary>
internal sealed class ReplicaSteps : IDisposable
{
    private readonly ICollectiveGroup _group;
    private readonly SummedLoss _loss;
    private readonly MasterWeights _masters;
    private readonly GlobalBatchStatistics? _statistics;
    private readonly IReadOnlyList<IPassExchange> _exchanges;
    private readonly GradientHooks _hooks;
    private bool _weightsCompared;

    private ReplicaSteps(
        ImageClassifier network, SummedLoss loss, ICollectiveGroup group, ReplicaSetup setup, GradientBuckets buckets,
        GlobalBatchStatistics? statistics)
    {
        (Network, _loss, _group, _masters, Buckets, _statistics) = (network, loss, group, setup.Masters, buckets, statistics);
        _exchanges = statistics is null ? setup.Exchanges : [statistics, .. setup.Exchanges];
        OwnStatistics = statistics is null ? RankStatistics.Of(network, group) : null;
        _hooks = new GradientHooks(network, buckets.BucketOf, OnReady);
    }

    public ImageClassifier Network { get; }

    public GradientBuckets Buckets { get; }

    /// <inheritdoc cref="ITrainingPartition.OwnStatistics"/>
    public RankStatistics? OwnStatistics { get; }

    /// <summary>Buckets that were under way before backward ended, in the last step.</summary>
    public int SentDuringBackward { get; private set; }

    /// <param name="network">This rank's, or its part of it.</param>
    /// <param name="replicated">Its parameters that all ranks hold, or their masters.</param>
    /// <param name="loss">Of this rank's samples.</param>
    /// <param name="group">The ranks that share the batch.</param>
    /// <param name="setup">How they do.</param>
    /// <param name="cancellationToken">Cancels the reservation of memory.</param>
    public static async Task<ReplicaSteps> CreateAsync(
        ImageClassifier network, IReadOnlyList<LocalParameter> replicated, SummedLoss loss, ICollectiveGroup group, ReplicaSetup setup,
        CancellationToken cancellationToken)
    {
        var buckets = await GradientBuckets.CreateAsync(group, replicated, setup.Gradients, cancellationToken, setup.ShardsGradients);
        var statistics = setup.SyncBatchNorm ? await GlobalBatchStatistics.AttachAsync(network, group, cancellationToken) : null;
        return new ReplicaSteps(network, loss, group, setup, buckets, statistics);
    }

    public SampleRange LocalSamples(int globalBatchSize)
    {
        var (start, count) = Slices.Of(globalBatchSize, _group.WorldSize, _group.Rank);
        return new SampleRange(start, count);
    }

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        if (!_weightsCompared)
            ReplicaWeights.RequireEqual(_group, Buckets.Parameters);
        _weightsCompared = true;
        using var scope = NewDisposeScope();
        _masters.Publish();
        Buckets.Begin();
        foreach (var exchange in _exchanges)
            exchange.Begin();
        OwnStatistics?.Begin((double)LocalSamples(batch.GlobalBatchSize).Count / batch.GlobalBatchSize);

        var totals = new PassTotals();
        var passes = Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize));
        foreach (var (part, samples) in passes.SkipLast(1))
        {
            using var passScope = NewDisposeScope();
            Run(part, samples, batch.GlobalBatchSize, totals, gradientsAreFinal: false);
        }

        Run(passes[^1].Batch, passes[^1].Samples, batch.GlobalBatchSize, totals, gradientsAreFinal: true);
        Buckets.Finish();
        var times = new StepTimes(totals.Forward, totals.Backward, totals.Lap() + Exchanged);
        return new StepShare(totals.LossSum, totals.Correct, times);
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        _masters.Publish();
        var local = LocalSamples(batch.GlobalBatchSize);
        var passes = local.Count > 0 || _exchanges.Any(exchange => exchange.IsInEvaluation);
        LocalPass? pass = passes ? LocalPass.Forward(Network, batch, local, _loss) : null;
        var (lossSum, correct) = pass?.Read() ?? default;
        Span<double> sums = [lossSum, correct];
        _group.AllReduce(sums, "evaluation");
        return new EvaluationOutcome(sums[0], (long)sums[1]);
    }

    public void Dispose()
    {
        _hooks.Dispose();
        Buckets.Dispose();
        _statistics?.Dispose();
        Network.Dispose();
        _masters.Dispose();
    }

    /// <summary>Time that computation stood still for exchanges.</summary>
    private TimeSpan Exchanged => _exchanges.Aggregate(TimeSpan.Zero, (sum, exchange) => sum + exchange.Elapsed);

    /// <summary>One pass. A bucket may go only when the last has added to it.</summary>
    private void Run(TrainingBatch batch, SampleRange samples, int globalBatchSize, PassTotals totals, bool gradientsAreFinal)
    {
        // With fewer samples than ranks one only adds zeros.
        LocalPass? pass = samples.Count == 0 && _exchanges.Count == 0
            ? null
            : _hooks.Forward(gradientsAreFinal, () => LocalPass.Forward(Network, batch, samples, _loss));
        totals.EndForward(Exchanged);
        pass?.Backward(globalBatchSize);
        _hooks.ThrowIfFaulted();
        foreach (var exchange in _exchanges)
            exchange.ThrowIfFaulted();
        _masters.TakeGradients();
        SentDuringBackward = Buckets.Sent;
        totals.EndBackward(pass, Exchanged);
    }

    private void OnReady(int bucket)
    {
        foreach (var parameter in Buckets.ParametersOf(bucket))
            _masters.TakeGradient(parameter.Name);
        Buckets.Ready(bucket);
    }
}

/// <summary>How ranks with the same parameters share a batch.</summary>
/// <param name="Gradients">How these travel.</param>
/// <param name="SyncBatchNorm">
/// Whether batch normalisation is by the statistics of the whole batch, as on one device. Otherwise each rank normalises by its own
/// slice's, and running statistics are averaged where they are needed.
/// </param>
internal sealed record ReplicaSetup(GradientOptions Gradients, bool SyncBatchNorm)
{
    /// <summary>Whether each rank gets the sum of its share of the gradients alone.</summary>
    public bool ShardsGradients { get; init; }

    /// <summary>Of the network's parameters, where it computes in bfloat16.</summary>
    public MasterWeights Masters { get; init; } = MasterWeights.None;

    /// <summary>What passes exchange besides gradients and statistics.</summary>
    public IReadOnlyList<IPassExchange> Exchanges { get; init; } = [];
}
