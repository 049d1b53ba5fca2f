using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// A network cut into stages of consecutive units, each on its own device: micro-batches follow one another through the stages, forward and
/// backward in turn (<see cref="PipelineSchedule"/>). Several pipelines make a mesh of data × pipeline, each on its slice of the global
/// batch.
/// </summary>
/// <remarks>
/// Consecutive ranks form a pipeline: rank = pipeline · stages + stage. The first stage alone feeds images, and hands labels to the last,
/// which computes the loss. Ranks with the same stage sum their gradients. Equal to one device that accumulates gradients over the same
/// micro-batches; batch normalisation is by micro-batch, as in Huang et al. 2019, "GPipe", arXiv:1811.06965, §2.3.
/// </remarks>
public sealed partial class PipelineParallel : ITrainingPartition
{
    private const string Activations = "activations", ActivationGradients = "activations/gradient", Labels = "labels";

    private readonly ICollectiveGroup _group; // all ranks
    private readonly ICollectiveGroup _stageAxis;
    private readonly ICollectiveGroup _dataAxis;
    private readonly SummedLoss _loss;
    private readonly PipelineSetup _setup;
    private readonly PipelinePlan _plan;
    private readonly StageMessages _messages;
    private readonly GradientBuckets _buckets;
    private readonly GradientHooks _hooks;
    private readonly GlobalBatchStatistics? _statistics;
    private readonly ScalarType _dtype;
    private bool _weightsCompared;

    private PipelineParallel(
        NetworkStage network, IReadOnlyList<LocalParameter> parameters, SummedLoss loss, PipelineSetup setup, PipelinePlan plan,
        ICollectiveGroup group,
        (ICollectiveGroup Stage, ICollectiveGroup Data) axes, GradientBuckets buckets, GlobalBatchStatistics? statistics)
    {
        Network = network;
        Parameters = parameters;
        (_loss, _setup, _plan, _group, _buckets) = (loss, setup, plan, group, buckets);
        (_stageAxis, _dataAxis) = axes;
        _dtype = parameters[0].Tensor.dtype;
        _messages = new StageMessages(_stageAxis, parameters[0].Tensor.device);
        _hooks = new GradientHooks(network, buckets.BucketOf, buckets.Ready);
        _statistics = statistics;
        // One pipeline's own statistics are all there are.
        OwnStatistics = _dataAxis.WorldSize > 1 && !setup.SyncBatchNorm ? RankStatistics.Of(network, _dataAxis) : null;
    }

    public ImageClassifier Network { get; }

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <inheritdoc/>
    public RankStatistics? OwnStatistics { get; }

    /// <summary>Micro-batches whose activations this stage held at once, at most, in the last step; for tests of the bound.</summary>
    internal int MostInFlight { get; private set; }

    /// <summary>Buckets that were under way before the last backward pass ended, in the last step; for tests of the overlap.</summary>
    internal int SentDuringBackward { get; private set; }

    private int Stage => _stageAxis.Rank;

    private bool IsFirst => Stage == 0;

    private bool IsLast => Stage == _stageAxis.WorldSize - 1;

    /// <summary>Cuts the network where rank 0's measurements say, and keeps this rank's stage of it.</summary>
    /// <param name="build">The whole network: the same on every rank.</param>
    /// <param name="loss">Of a micro-batch.</param>
    /// <param name="group">All ranks.</param>
    /// <param name="setup">Stages and micro-batches.</param>
    /// <param name="logger">Is told the cut.</param>
    /// <param name="cancellationToken">Cancels the forming of the axes.</param>
    /// <exception cref="NotSupportedException">The network cannot be cut so; the message says why and what to do.</exception>
    public static async Task<PipelineParallel> CreateAsync(
        Func<ImageClassifier> build, SummedLoss loss, ICollectiveGroup group, PipelineSetup setup, ILogger logger,
        CancellationToken cancellationToken)
    {
        if (setup.Stages < 1 || group.WorldSize % setup.Stages != 0)
            throw new ArgumentOutOfRangeException(
                nameof(setup), setup.Stages, $"{group.WorldSize} ranks do not make whole pipelines of {setup.Stages} stages");
        if (setup.MicroBatches < 1)
            throw new ArgumentOutOfRangeException(nameof(setup), setup.MicroBatches, "a pipeline needs at least one micro-batch");
        var whole = build();
        RequireUnits(whole, setup.Stages);
        // every rank has built by its end, and rank 0 measures undisturbed
        var stageAxis = await group.SplitAsync("pipeline", group.Rank / setup.Stages, cancellationToken);
        var dataAxis = await group.SplitAsync("data", group.Rank % setup.Stages, cancellationToken);
        var plan = PipelinePlan.Agree(group, setup.Stages, () => Measure(build, setup.MicroBatchSamples));
        if (group.Rank == 0)
            LogCut(logger, setup.Stages, plan.Describe(whole.Units));

        var network = plan.StageOf(whole, stageAxis.Rank);
        var parameters = LocalParameters.Of(network, isOwner: dataAxis.Rank == 0);
        LocalParameters.RequireReachable(parameters, stageAxis);
        var buckets = await GradientBuckets.CreateAsync(dataAxis, parameters, setup.Gradients, cancellationToken);
        var statistics = setup.SyncBatchNorm ? await GlobalBatchStatistics.AttachAsync(network, dataAxis, cancellationToken) : null;
        return new PipelineParallel(network, parameters, loss, setup, plan, group, (stageAxis, dataAxis), buckets, statistics);
    }

    /// <inheritdoc/>
    public IEnumerable<Tensor> LocalGradient => _buckets.Summed;

    /// <inheritdoc/>
    public IEnumerable<Tensor> GradientShare => _buckets.Share;

    FlatGradients? ITrainingPartition.FlatGradients => _buckets;

    /// <summary>The pipeline's slice on its first stage; the others feed nothing.</summary>
    public SampleRange LocalSamples(int globalBatchSize) =>
        Slice(globalBatchSize) with { Count = IsFirst ? Slice(globalBatchSize).Count : 0 };

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        if (!_weightsCompared)
            ReplicaWeights.RequireEqual(_dataAxis, Parameters);
        _weightsCompared = true;
        using var scope = NewDisposeScope();
        _buckets.Begin();
        _statistics?.Begin();
        OwnStatistics?.Begin((double)Slice(batch.GlobalBatchSize).Count / batch.GlobalBatchSize);
        _messages.Begin();
        MostInFlight = 0;
        var passes = Passes(batch, ShareOfEveryPipeline(batch.GlobalBatchSize));
        var totals = new PassTotals();
        var inFlight = new Queue<InFlight>();
        foreach (var (isForward, microBatch) in PipelineSchedule.Of(Stage, _plan.Stages, passes.Count))
        {
            using var passScope = NewDisposeScope();
            if (isForward)
                inFlight.Enqueue(Forward(passes, microBatch, totals));
            else
                Backward(inFlight.Dequeue(), passes, totals);
            MostInFlight = Math.Max(MostInFlight, inFlight.Count);
        }

        SentDuringBackward = _buckets.Sent;
        _buckets.Finish();
        _messages.Flush();
        var times = new StepTimes(totals.Forward, totals.Backward, totals.Lap() + Waited);
        return new StepShare(totals.LossSum, totals.Correct, times); // nothing on all but the last stages
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        _messages.Begin();
        var passes = Passes(batch, Slice(batch.GlobalBatchSize).Count);
        var totals = new PassTotals();
        for (var microBatch = 0; microBatch < passes.Count; microBatch++)
        {
            using var passScope = NewDisposeScope();
            using var done = Forward(passes, microBatch, totals);
            totals.Add(done.Loss);
        }

        _messages.Flush();
        Span<double> figures = [totals.LossSum, totals.Correct]; // zero on all but the last stages
        _group.AllReduce(figures, "evaluation");
        return new EvaluationOutcome(figures[0], (long)figures[1]);
    }

    public void Dispose()
    {
        _hooks.Dispose();
        _buckets.Dispose();
        Network.Dispose();
        _statistics?.Dispose();
        _stageAxis.Dispose();
        _dataAxis.Dispose();
    }

    /// <summary>Time that computation stood still for other ranks.</summary>
    private TimeSpan Waited => _messages.Waited + (_statistics?.Elapsed ?? TimeSpan.Zero);

    private static IReadOnlyList<UnitCosts> Measure(Func<ImageClassifier> build, int microBatch)
    {
        using var probe = build();
        return UnitCosts.Measure(probe, microBatch);
    }

    private static void RequireUnits(ImageClassifier network, int stages)
    {
        if (network.Units.Count == 0)
            throw new NotSupportedException(
                $"model.name is {network.GetName()}, which is no sequence of units that a pipeline could cut; use parallelism data");
        if (network.Units.Count < stages)
            throw new NotSupportedException($"{network.GetName()} has {network.Units.Count} units, which do not make {stages} stages; "
                + $"use {network.Units.Count} devices or less, or a mesh with a data axis");
    }

    /// <summary>This pipeline's samples.</summary>
    private SampleRange Slice(int globalBatchSize)
    {
        var (start, count) = Slices.Of(globalBatchSize, _dataAxis.WorldSize, _dataAxis.Rank);
        return new SampleRange(start, count);
    }

    /// <summary>The fewest samples that a pipeline has: all make as many micro-batches, since they exchange statistics in each.</summary>
    private int ShareOfEveryPipeline(int globalBatchSize) => globalBatchSize / _dataAxis.WorldSize is > 0 and var share
        ? share
        : throw new ArgumentException(
            $"a global batch of {globalBatchSize} samples leaves some of {_dataAxis.WorldSize} pipelines without any",
            nameof(globalBatchSize));

    /// <param name="batch">This rank's.</param>
    /// <param name="most">Micro-batches.</param>
    private StepPasses Passes(TrainingBatch batch, int most)
    {
        var slice = Slice(batch.GlobalBatchSize);
        var count = Math.Min(_setup.MicroBatches, most);
        var samples = Enumerable.Range(0, count).Select(microBatch => Slices.Of(slice.Count, count, microBatch))
            .Select(part => new SampleRange(slice.Start + part.Start, part.Count)).ToList();
        return new StepPasses(
            count == 0 ? batch : batch with { Labels = HandOnLabels(batch.Labels, slice.Count) }, samples, slice.Start,
            _messages.From(Stage - 1, Activations, _dtype, [.. samples.Select(part => ShapeOf(part, Stage))]),
            _messages.From(Stage + 1, ActivationGradients, _dtype, IsLast ? [] : [.. samples.Select(part => ShapeOf(part, Stage + 1))]));

        long[] ShapeOf(SampleRange part, int stage) => [(long)part.Count * batch.Views, .. _plan.InputShapes[stage]];
    }

    /// <summary>
    /// From the stage that reads the data to the one that needs them: first of all, since messages between two ranks keep their order.
    /// </summary>
    private Tensor HandOnLabels(Tensor own, int count)
    {
        if (IsFirst)
            _messages.Send(own, _plan.Stages - 1, Labels);
        if (!IsLast)
            return own;
        using var labels_N = _messages.From(0, Labels, ScalarType.Int64, [[count]]).Take();
        return labels_N.alias();
    }

    /// <summary>What comes in goes through the stage and on to the next one, or into the loss.</summary>
    private InFlight Forward(StepPasses passes, int microBatch, PassTotals totals)
    {
        var (batch, samples, isFinal) = (passes.Batch, passes.Samples[microBatch], microBatch == passes.Count - 1);
        var first = samples.Start - passes.FirstSample;
        var received = IsFirst ? null : passes.Inputs.Take();
        var input = received is null
            ? batch.Images.narrow(0, first * batch.Views, samples.Count * batch.Views)
            : received.requires_grad_(is_grad_enabled());
        if (IsLast)
        {
            var part = batch with { Images = input, Labels = batch.Labels.narrow(0, first, samples.Count) };
            var pass = _hooks.Forward(isFinal, () => LocalPass.Forward(Network, part, samples, _loss));
            totals.EndForward(Waited);
            pass.SummedLoss.MoveToOuterDisposeScope();
            pass.Figures.MoveToOuterDisposeScope();
            return new InFlight(received, pass.SummedLoss, pass);
        }

        LocalPass.Place(Network, batch, samples);
        var output = _hooks.Forward(isFinal, () => Network.call(input)).MoveToOuterDisposeScope();
        _messages.Send(output, Stage + 1, Activations);
        totals.EndForward(Waited);
        return new InFlight(received, output, Loss: null);
    }

    /// <summary>The gradient of what went out leaves its share in the stage's parameters and goes back to the stage before.</summary>
    private void Backward(InFlight pass, StepPasses passes, PassTotals totals)
    {
        using (pass)
        {
            if (pass.Loss is { } last)
            {
                last.Backward(passes.Batch.GlobalBatchSize);
            }
            else
            {
                using var gradient = passes.Gradients.Take();
                pass.Output.backward([gradient]);
                HandedGradients.Release();
            }

            _hooks.ThrowIfFaulted();
            _statistics?.ThrowIfFaulted();
            if (pass.Received is { } input)
                _messages.Send(input.grad!, Stage - 1, ActivationGradients);
            totals.EndBackward(pass.Loss, Waited);
        }
    }

    [LoggerMessage(LogLevel.Information, "Pipeline of {Stages} stages, cut by the time that rank 0 measured of each unit: {Cut}")]
    private static partial void LogCut(ILogger logger, int stages, string cut);

    /// <summary>The micro-batches of one step or evaluation, and what other stages send of them.</summary>
    private sealed record StepPasses(
        TrainingBatch Batch, IReadOnlyList<SampleRange> Samples, int FirstSample, StageMessages.Inbox Inputs, StageMessages.Inbox Gradients)
    {
        public int Count => Samples.Count;
    }

    /// <summary>A micro-batch between its forward and its backward pass.</summary>
    /// <param name="Received">What came in, a leaf of the graph; null on the first stage.</param>
    /// <param name="Output">With its graph, which holds the activations.</param>
    /// <param name="Loss">On the last stage.</param>
    private sealed record InFlight(Tensor? Received, Tensor Output, LocalPass? Loss) : IDisposable
    {
        public void Dispose()
        {
            Output.Dispose();
            Loss?.Figures.Dispose();
            Received?.Dispose();
        }
    }
}
