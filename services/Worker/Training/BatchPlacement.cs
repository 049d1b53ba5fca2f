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
    /// <param name="spec">The job.</param>
    /// <param name="shape">Of the network's images.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="measured">
    /// Whether channels-last was measured to be quicker, where the job leaves that open; null where it was not: what suits the network.
    /// </param>
    /// <exception cref="JobMisconfiguredException">There is no such memory format.</exception>
    public static BatchPlacement For(JobSpec spec, ClassifierShape shape, Device device, bool? measured = null)
    {
        var precision = TrainingPartitions.ComputationOf(spec.Hyperparameters.Precision);
        return new BatchPlacement(shape, precision, device, spec.Hyperparameters.MemoryFormat switch
        {
            MemoryFormats.ChannelsLast => true,
            MemoryFormats.Contiguous => false,
            MemoryFormats.Auto or "" => IsOpen(spec, device)
                ? measured ?? ModelRegistry.PrefersChannelsLast(spec.Model.Name)
                : DividesTheBatchAlone(spec) && device.type == DeviceType.CUDA && UsesTensorCores(spec),
            var format => throw new JobMisconfiguredException(
                $"hyperparameters.memoryFormat is {format}; choose {string.Join(", ", MemoryFormats.All)}"),
        });
    }

    /// <summary>Whether a measurement is to say how images lie: on CPUs processors differ in it.</summary>
    public static bool IsOpen(JobSpec spec, Device device) =>
        spec.Hyperparameters.MemoryFormat is MemoryFormats.Auto or "" && DividesTheBatchAlone(spec) && device.type == DeviceType.CPU
        && TrainingPartitions.ComputationOf(spec.Hyperparameters.Precision) == ScalarType.Float32;

    /// <summary>
    /// Whether images come as bytes and are normalised where they are computed with: a GPU does in microseconds what keeps the loader's
    /// threads and the bus busy.
    /// </summary>
    public bool TakesLevels => Device.type == DeviceType.CUDA;

    /// <summary>In the current dispose scope.</summary>
    public TrainingBatch Place(HostBatch batch, long step, DeviceFeed? feed = null)
    {
        var (images, labels) = batch.ToTensors(Shape.Channels, Shape.InputSize, Precision, Device, ChannelsLast, feed);
        return new TrainingBatch(images, labels, batch.GlobalSize, step, batch.Views);
    }

    /// <summary>Parts of a network tell each other a plane a channel.</summary>
    private static bool DividesTheBatchAlone(JobSpec spec) => spec.Parallelism is Parallelism.Data or Parallelism.Unspecified;

    /// <summary>Their convolutions take a pixel's channels together, and would reorder whatever comes otherwise.</summary>
    private static bool UsesTensorCores(JobSpec spec) =>
        spec.Hyperparameters.Precision is Contracts.V1.Precision.Tf32 or Contracts.V1.Precision.Bfloat16;
}
