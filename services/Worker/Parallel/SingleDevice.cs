using Cluster.Models;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>The whole network and every batch on one device: what the other partitions must equal.</summary>
public sealed class SingleDevice(ImageClassifier network, SummedLoss loss) : ITrainingPartition
{
    public ImageClassifier Network => network;

    public IReadOnlyList<LocalParameter> Parameters { get; } = LocalParameters.Of(network, isOwner: true);

    public SampleRange LocalSamples(int globalBatchSize) => new(0, globalBatchSize);

    public StepOutcome ForwardBackward(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        network.zero_grad();
        var totals = new PassTotals();
        foreach (var (part, samples) in Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize)))
        {
            using var passScope = torch.NewDisposeScope();
            var pass = LocalPass.Forward(network, part, samples, loss);
            totals.EndForward(pass);
            pass.Backward(batch.GlobalBatchSize);
            totals.EndBackward();
        }

        return new StepOutcome(totals.LossSum / batch.GlobalBatchSize, totals.Correct, new StepTimes(totals.Forward, totals.Backward, TimeSpan.Zero));
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        using var guard = torch.no_grad();
        var pass = LocalPass.Forward(network, batch, LocalSamples(batch.GlobalBatchSize), loss);
        return new EvaluationOutcome(pass.LossSum, pass.Correct);
    }

    public void Dispose() => network.Dispose();
}
