using Cluster.Models;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>A network's parameters with their places in the undivided one, and what every split needs of them.</summary>
internal static class LocalParameters
{
    public static IReadOnlyList<LocalParameter> Of(ImageClassifier network, bool isOwner) => Of(network, _ => isOwner);

    public static IReadOnlyList<LocalParameter> Of(ImageClassifier network, Func<string, bool> isOwner) =>
    [
        .. network.Shards().Zip(network.parameters(), (shard, parameter) =>
            new LocalParameter(
                shard.Name, parameter, shard.GlobalShape, [shard.FirstRow, .. new long[shard.GlobalShape.Count - 1]], isOwner(shard.Name))),
    ];

    /// <summary>A group that was joined without GPUs would take an address on one for one in the CPU's memory.</summary>
    /// <exception cref="NotSupportedException">A parameter is on a device that the group does not reach.</exception>
    public static void RequireReachable(IReadOnlyList<LocalParameter> parameters, ICollectiveGroup group)
    {
        if (!group.ReachesDevices
            && parameters.FirstOrDefault(parameter => parameter.Tensor.device_type != DeviceType.CPU) is { } parameter)
            throw new NotSupportedException(
                $"{parameter.Name} is on {parameter.Tensor.device}, which ranks joined by {group.Transport} do not exchange values of; "
                    + "set resources.deviceKind to cpu");
    }

    /// <summary>As <see cref="RequireReachable"/>, for exchanges that know the CPU's memory only.</summary>
    /// <exception cref="NotSupportedException">A parameter is on another device.</exception>
    public static void RequireCpu(IReadOnlyList<LocalParameter> parameters, string parallelism)
    {
        if (parameters.FirstOrDefault(parameter => parameter.Tensor.device_type != DeviceType.CPU) is { } parameter)
            throw new NotSupportedException($"parallelism is {parallelism}, which exchanges values in the CPU's memory only, "
                + $"and {parameter.Name} is on {parameter.Tensor.device}; use data, model or hybrid, or set resources.deviceKind to cpu");
    }
}
