using Cluster.Models;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>The whole network and every batch on one device: what the other partitions must equal.</summary>
public sealed class SingleDevice : ITrainingPartition
{
    private readonly ImageClassifier network;
    private readonly SummedLoss loss;
    private readonly MasterWeights masters;

    /// <param name="network">The whole.</param>
    /// <param name="loss">Of all samples.</param>
    /// <param name="inBFloat16">Whether it computes in bfloat16, with its float32 parameters as masters.</param>
    public SingleDevice(ImageClassifier network, SummedLoss loss, bool inBFloat16 = false)
    {
        (this.network, this.loss) = (network, loss);
        masters = inBFloat16 ? MasterWeights.Narrow(network) : MasterWeights.None;
        Parameters = masters.Of(LocalParameters.Of(network, isOwner: true));
    }

    public ImageClassifier Network => network;

    public IReadOnlyList<LocalParameter> Parameters { get; }

    public SampleRange LocalSamples(int globalBatchSize) => new(0, globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        network.zero_grad();
        masters.DropGradients();
        masters.Publish();
        var totals = new PassTotals();
        foreach (var (part, samples) in Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize)))
        {
            using var passScope = torch.NewDisposeScope();
            var pass = LocalPass.Forward(network, part, samples, loss);
            totals.EndForward();
            pass.Backward(batch.GlobalBatchSize);
            masters.TakeGradients();
            totals.EndBackward(pass);
        }

        return new StepShare(totals.LossSum, totals.Correct, new StepTimes(totals.Forward, totals.Backward, TimeSpan.Zero));
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        using var guard = torch.no_grad();
        masters.Publish();
        var (lossSum, correct) = LocalPass.Forward(network, batch, LocalSamples(batch.GlobalBatchSize), loss).Read();
        return new EvaluationOutcome(lossSum, correct);
    }

    public void Dispose()
    {
        network.Dispose();
        masters.Dispose();
    }
}
