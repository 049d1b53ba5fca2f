using Cluster.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>One rank's forward over the samples it feeds, whatever the split.</summary>
/// <param name="SummedLoss">Scalar, with its graph while training: what to minimise, auxiliary heads included.</param>
/// <param name="LossSum">The main output's share of it, which is what evaluation measures too.</param>
/// <param name="Correct">Samples whose most likely class is their label.</param>
internal readonly record struct LocalPass(Tensor SummedLoss, double LossSum, long Correct)
{
    public static LocalPass Forward(ImageClassifier network, TrainingBatch batch, SampleRange local, SummedLoss loss)
    {
        if (batch.Images.shape[0] != local.Count)
            throw new ArgumentException($"the batch has {batch.Images.shape[0]} samples; this rank feeds {local.Count} of {batch.GlobalBatchSize}", nameof(batch));
        network.Position.Step = batch.Step;
        network.Position.FirstSample = local.Start;
        var outputs_NK = network.Outputs(batch.Images);
        var main = loss(outputs_NK[0], batch.Labels);
        var total = main;
        foreach (var (head_NK, share) in outputs_NK.Skip(1).Zip(network.AuxiliaryWeights))
        {
            using Scalar weight = share;
            total = total.add(loss(head_NK, batch.Labels), weight);
        }

        using var guard = no_grad();
        return new LocalPass(total, main.to(ScalarType.Float64).item<double>(), outputs_NK[0].argmax(1).eq(batch.Labels).sum().item<long>());
    }

    /// <summary>Leaves in each parameter this rank's share of the gradient of the mean over the global batch.</summary>
    public void Backward(int globalBatchSize)
    {
        using Scalar samples = (double)globalBatchSize;
        SummedLoss.div(samples).backward();
    }
}
