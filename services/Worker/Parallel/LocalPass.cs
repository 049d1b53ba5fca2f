using Cluster.Models;
using Cluster.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Parallel;

/// <summary>One rank's forward over the samples it feeds, whatever the split.</summary>
/// <param name="SummedLoss">Scalar, with its graph while training: what to minimise, auxiliary heads included.</param>
/// <param name="Figures">(2) float64, on the device: the main output's share of the loss, which is what evaluation measures too, and the
/// samples whose most likely class is their label.</param>
internal readonly record struct LocalPass(Tensor SummedLoss, Tensor Figures)
{
    public static LocalPass Forward(ImageClassifier network, TrainingBatch batch, SampleRange local, SummedLoss loss)
    {
        if (batch.Images.shape[0] != local.Count * batch.Views)
            throw new ArgumentException($"the batch has {batch.Images.shape[0]} images of {batch.Views} views; "
                + $"this rank feeds {local.Count} of {batch.GlobalBatchSize}", nameof(batch));
        Place(network, batch, local);
        Tensor[] outputs_NK = [.. network.Outputs(batch.Images).Select(MixedPrecision.Widened)];
        var logits_NK = AverageViews(outputs_NK[0], batch.Views);
        var main = loss(logits_NK, batch.Labels);
        var total = main;
        foreach (var (head_NK, share) in outputs_NK.Skip(1).Zip(network.AuxiliaryWeights))
        {
            using Scalar weight = share;
            total = total.add(loss(head_NK, batch.Labels), weight);
        }

        using var guard = no_grad();
        return new LocalPass(
            total, stack([main.to(ScalarType.Float64), logits_NK.argmax(1).eq(batch.Labels).sum().to(ScalarType.Float64)]));
    }

    /// <summary>Waits for the device: after backward, or a GPU would stand still until backward is handed to it.</summary>
    public (double LossSum, long Correct) Read()
    {
        using var figures_2 = Figures.cpu();
        var values = TensorMemory.Values<double>(figures_2);
        return (values[0], (long)values[1]);
    }

    /// <summary>Tells the network which samples of which step come next.</summary>
    public static void Place(ImageClassifier network, TrainingBatch batch, SampleRange local)
    {
        network.Position.Step = batch.Step;
        network.Position.FirstSample = local.Start;
    }

    /// <summary>
    /// Logits whose softmax is the mean of the views': Krizhevsky et al. 2012, §4.1. They lack the constant log(views), which a softmax
    /// takes out again.
    /// </summary>
    /// <param name="logits_VK">Of every sample's views, next to each other.</param>
    /// <param name="views">Of a sample.</param>
    public static Tensor AverageViews(Tensor logits_VK, int views) => views == 1
        ? logits_VK
        : logits_VK.log_softmax(1).reshape(-1, views, logits_VK.shape[1]).logsumexp(1, false);

    /// <summary>Leaves in each parameter this rank's share of the gradient of the mean over the global batch.</summary>
    public void Backward(int globalBatchSize)
    {
        using Scalar samples = (double)globalBatchSize;
        SummedLoss.div(samples).backward();
        HandedGradients.Release();
    }
}
