using Cluster.Models;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Parallel;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>How a batch of the loader becomes tensors for a network.</summary>
/// <param name="Shape">Of the network's images.</param>
/// <param name="Precision">Of its weights.</param>
/// <param name="Device">Where it computes.</param>
internal sealed record BatchPlacement(ClassifierShape Shape, ScalarType Precision, Device Device)
{
    /// <summary>In the current dispose scope.</summary>
    public TrainingBatch Place(HostBatch batch, long step)
    {
        var (images, labels) = batch.ToTensors(Shape.Channels, Shape.InputSize, Precision, Device);
        return new TrainingBatch(images, labels, batch.GlobalSize, step, batch.Views);
    }
}
