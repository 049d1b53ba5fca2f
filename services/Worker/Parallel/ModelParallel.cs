using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// A network divided by channels, each part on its own device: AlexNet's two towers of 2012, or equal shares of every layer. Every rank
/// sees every sample and computes the same loss from the gathered scores; parameters belong to one rank each.
/// </summary>
public sealed class ModelParallel : ITrainingPartition
{
    private readonly SummedLoss loss;
    private readonly ChannelExchange exchange;

    private ModelParallel(ImageClassifier part, SummedLoss loss, ICollectiveGroup group, ChannelExchange exchange)
    {
        Network = part;
        Parameters = LocalParameters.Of(part, isOwner: true);
        LocalParameters.RequireReachable(Parameters, group);
        this.loss = loss;
        this.exchange = exchange;
    }

    public ImageClassifier Network { get; }

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <summary>Builds this rank's part.</summary>
    /// <param name="buildPart">From the seam to the other parts, such as with <see cref="ModelRegistry.CreatePart"/>.</param>
    /// <param name="loss">Of gathered scores.</param>
    /// <param name="group">As many ranks as there are parts.</param>
    /// <exception cref="ModelOptionException">The network cannot be split so.</exception>
    public static ModelParallel Create(Func<ChannelSplit, ImageClassifier> buildPart, SummedLoss loss, ICollectiveGroup group)
    {
        var channels = new ChannelExchange(group);
        return new ModelParallel(buildPart(SplitOver(group, channels)), loss, group, channels);
    }

    /// <summary>All layers divided by channels; every part computes the same loss from the same scores.</summary>
    internal static ChannelSplit SplitOver(ICollectiveGroup group, ChannelExchange channels) => new(
        group.Rank, group.WorldSize, x => GatherChannels.apply(x, channels), scores => GatherReplicatedChannels.apply(scores, channels));

    public SampleRange LocalSamples(int globalBatchSize) => new(0, globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        Network.zero_grad();
        exchange.Begin();
        var totals = new PassTotals();
        foreach (var (part, samples) in Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize)))
        {
            using var passScope = NewDisposeScope();
            var pass = LocalPass.Forward(Network, part, samples, loss);
            totals.EndForward(exchange.Elapsed);
            pass.Backward(batch.GlobalBatchSize);
            exchange.ThrowIfFaulted();
            totals.EndBackward(pass, exchange.Elapsed);
        }

        var times = new StepTimes(totals.Forward, totals.Backward, exchange.Elapsed);
        // Every part has the same loss, though on processors of different kinds its last bits may differ.
        return exchange.IsFirst ? new StepShare(totals.LossSum, totals.Correct, times) : StepShare.None(times);
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        exchange.Begin();
        var (lossSum, correct) = LocalPass.Forward(Network, batch, LocalSamples(batch.GlobalBatchSize), loss).Read();
        Span<double> figures = [lossSum, correct];
        exchange.Agree(figures);
        return new EvaluationOutcome(figures[0], (long)figures[1]);
    }

    public void Dispose() => Network.Dispose();
}
