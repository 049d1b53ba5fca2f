using System.Diagnostics;
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
        var began = Stopwatch.GetTimestamp();
        var pass = LocalPass.Forward(network, batch, LocalSamples(batch.GlobalBatchSize), loss);
        var forward = Stopwatch.GetElapsedTime(began);
        pass.Backward(batch.GlobalBatchSize);
        var times = new StepTimes(forward, Stopwatch.GetElapsedTime(began) - forward, TimeSpan.Zero);
        return new StepOutcome(pass.LossSum / batch.GlobalBatchSize, pass.Correct, times);
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
