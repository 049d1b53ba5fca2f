using Cluster.Models;
using Cluster.Models.AlexNet;
using Cluster.Worker.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>
/// A network's channel groups, each on its own device: AlexNet's two towers of 2012. Every rank sees every sample and computes the
/// same loss from the gathered scores; parameters belong to one rank each.
/// </summary>
public sealed class ModelParallel : ITrainingPartition
{
    private readonly ICollectiveGroup group;
    private readonly SummedLoss loss;
    private readonly ChannelExchange exchange;

    private ModelParallel(ImageClassifier tower, SummedLoss loss, ICollectiveGroup group, ChannelExchange exchange)
    {
        Network = tower;
        Parameters = LocalParameters.Of(tower, isOwner: true);
        LocalParameters.RequireCpu(Parameters);
        this.loss = loss;
        this.group = group;
        this.exchange = exchange;
    }

    public ImageClassifier Network { get; }

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <summary>Builds this rank's tower.</summary>
    /// <param name="buildTower">From the seam to the other tower, such as with <see cref="ModelRegistry.CreateTower"/>.</param>
    /// <param name="loss">Of gathered scores.</param>
    /// <param name="group">As many ranks as there are towers.</param>
    /// <exception cref="NotSupportedException">There are not as many ranks as towers.</exception>
    public static ModelParallel Create(Func<TowerExchange, ImageClassifier> buildTower, SummedLoss loss, ICollectiveGroup group)
    {
        if (group.WorldSize != AlexNetShape.Towers)
        {
            throw new NotSupportedException(
                $"resources.devices is {group.WorldSize}; parallelism model puts each of the network's {AlexNetShape.Towers} towers on a device of its own: use {AlexNetShape.Towers}");
        }

        var channels = new ChannelExchange(group);
        var tower = buildTower(new TowerExchange(
            group.Rank, x => GatherChannels.apply(x, channels), x => GatherReplicatedChannels.apply(x, channels)));
        return new ModelParallel(tower, loss, group, channels);
    }

    public SampleRange LocalSamples(int globalBatchSize) => new(0, globalBatchSize);

    public StepOutcome ForwardBackward(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        Network.zero_grad();
        exchange.Begin();
        var totals = new PassTotals();
        foreach (var (part, samples) in Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize)))
        {
            using var passScope = NewDisposeScope();
            var pass = LocalPass.Forward(Network, part, samples, loss);
            totals.EndForward(pass, exchange.Elapsed);
            pass.Backward(batch.GlobalBatchSize);
            exchange.ThrowIfFaulted();
            totals.EndBackward(exchange.Elapsed);
        }

        var (lossSum, correct) = Agree(totals.LossSum, totals.Correct);
        return new StepOutcome(lossSum / batch.GlobalBatchSize, correct, new StepTimes(totals.Forward, totals.Backward, exchange.Elapsed));
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        exchange.Begin();
        var pass = LocalPass.Forward(Network, batch, LocalSamples(batch.GlobalBatchSize), loss);
        var (lossSum, correct) = Agree(pass.LossSum, pass.Correct);
        return new EvaluationOutcome(lossSum, correct);
    }

    public void Dispose() => Network.Dispose();

    /// <summary>Rank 0's figures: on processors of different kinds the same sums may differ in their last bits.</summary>
    private (double LossSum, long Correct) Agree(double lossSum, long correctHere)
    {
        Span<double> figures = [lossSum, correctHere];
        group.Broadcast(figures, root: 0, "figures");
        return (figures[0], (long)figures[1]);
    }
}
