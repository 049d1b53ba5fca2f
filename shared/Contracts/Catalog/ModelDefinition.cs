using System.Collections.Immutable;

namespace Cluster.Contracts.Catalog;

/// <summary>What the scheduler and the clients know of a model: enough to check a job file, nothing of its layers.</summary>
/// <param name="Name">What a job file calls it.</param>
/// <param name="Family">The line that it belongs to: "LeNet", "AlexNet".</param>
/// <param name="ChannelGroups">
/// How many devices <c>parallelism: model</c> splits it over, one channel group each; 0 where its layers fix no number.
/// </param>
/// <param name="Options">In the order in which help shows them.</param>
/// <param name="Summary">One line with the source.</param>
public sealed record ModelDefinition(
    string Name, string Family, int ChannelGroups, ImmutableArray<OptionDefinition> Options, string Summary)
{
    /// <summary>Source, size and published accuracy.</summary>
    public required ModelFacts Facts { get; init; }

    /// <summary>
    /// Channels and units, at full width, of the layers that <c>parallelism: model</c> divides over any number of devices that divides them
    /// all; empty where it does not.
    /// </summary>
    public ImmutableArray<int> DividedChannels { get; init; } = [];

    /// <summary>As <see cref="DividedChannels"/>, of the fully connected layers that <c>parallelism: hybrid</c> divides.</summary>
    public ImmutableArray<int> DividedUnits { get; init; } = [];

    /// <summary>Consecutive units between which <c>parallelism: pipeline</c> may cut it; 0 where it is no sequence of such.</summary>
    public int Units { get; init; }

    /// <summary>Whether it normalises over the batch, so that a sample's scores depend on those it is trained with.</summary>
    public bool BatchNorm { get; init; }

    /// <summary>The option of that exact name, or null.</summary>
    public OptionDefinition? Option(string name) => Options.FirstOrDefault(option => option.Name == name);
}
