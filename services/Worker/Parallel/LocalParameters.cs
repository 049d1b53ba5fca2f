using Cluster.Models;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>A network's parameters with their places in the undivided one, and what every split needs of them.</summary>
internal static class LocalParameters
{
    public static IReadOnlyList<LocalParameter> Of(ImageClassifier network, bool isOwner) => Of(network, _ => isOwner);

    public static IReadOnlyList<LocalParameter> Of(ImageClassifier network, Func<string, bool> isOwner) =>
    [
        .. network.Shards().Zip(network.parameters(), (shard, parameter) =>
            new LocalParameter(shard.Name, parameter, shard.GlobalShape, [shard.FirstRow, .. new long[shard.GlobalShape.Count - 1]], isOwner(shard.Name))),
    ];

    /// <summary>Ranks exchange through the CPU's memory; anything else must say so rather than run without.</summary>
    /// <exception cref="NotSupportedException">A parameter is on another device.</exception>
    public static void RequireCpu(IReadOnlyList<LocalParameter> parameters)
    {
        foreach (var parameter in parameters)
        {
            if (parameter.Tensor.device_type != DeviceType.CPU)
            {
                throw new NotSupportedException(
                    $"{parameter.Name} is on {parameter.Tensor.device}, and ranks on such devices cannot exchange gradients yet: "
                    + "run the job on one device, or set resources.deviceKind to cpu");
            }
        }
    }
}
