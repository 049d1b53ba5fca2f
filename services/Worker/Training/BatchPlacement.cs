using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using Device = TorchSharp.torch.Device;

namespace Cluster.Worker.Training;

/// <summary>How a batch of the loader becomes tensors for a network.</summary>
/// <param name="Shape">Of the network's images.</param>
/// <param name="Precision">Of images.</param>
/// <param name="Device">Where it computes.</param>
/// <param name="ChannelsLast">Whether a pixel's channels lie together.</param>
internal sealed record BatchPlacement(ClassifierShape Shape, ScalarType Precision, Device Device, bool ChannelsLast)
{
    /// <exception cref="JobMisconfiguredException">There is no such memory format.</exception>
    public static BatchPlacement For(JobSpec spec, ClassifierShape shape, Device device)
    {
        var precision = TrainingPartitions.ComputationOf(spec.Hyperparameters.Precision);
        return new BatchPlacement(shape, precision, device, spec.Hyperparameters.MemoryFormat switch
        {
            MemoryFormats.ChannelsLast => true,
            MemoryFormats.Contiguous => false,
            // parts of a network tell each other a plane a channel
            MemoryFormats.Auto or "" => spec.Parallelism is Parallelism.Data or Parallelism.Unspecified
                && (device.type == DeviceType.CUDA
                    ? UsesTensorCores(spec)
                    : precision == ScalarType.Float32 && ModelRegistry.PrefersChannelsLast(spec.Model.Name)),
            var format => throw new JobMisconfiguredException(
                $"hyperparameters.memoryFormat is {format}; choose {string.Join(", ", MemoryFormats.All)}"),
        });
    }

    /// <summary>In the current dispose scope.</summary>
    public TrainingBatch Place(HostBatch batch, long step, DeviceFeed? feed = null)
    {
        var (images, labels) = batch.ToTensors(Shape.Channels, Shape.InputSize, Precision, Device, ChannelsLast, feed);
        return new TrainingBatch(images, labels, batch.GlobalSize, step, batch.Views);
    }

    /// <summary>Their convolutions take a pixel's channels together, and would reorder whatever comes otherwise.</summary>
    private static bool UsesTensorCores(JobSpec spec) =>
        spec.Hyperparameters.Precision is Contracts.V1.Precision.Tf32 or Contracts.V1.Precision.Bfloat16;
}
