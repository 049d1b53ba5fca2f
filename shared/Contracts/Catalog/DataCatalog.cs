using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Cluster.Contracts.Catalog;

/// <summary>A data set's shape: what a job file is checked against before any node is asked.</summary>
/// <param name="Name">What a job file calls it and a node advertises.</param>
/// <param name="DefaultValidationSamples">Set aside from the end of the training part where the job file does not say.</param>
/// <param name="IsGenerated">Needs no files, so that every node has it.</param>
public sealed record DataDefinition(
    string Name, int Channels, int Height, int Width, int Classes, int TrainSamples, int TestSamples, int DefaultValidationSamples,
    bool IsGenerated, string Summary);

/// <summary>The data sets that a job can name. Which of them a node has, the node says.</summary>
public static class DataCatalog
{
    public const string FashionMnist = "fashion-mnist", Mnist = "mnist", Synthetic = "synthetic";

    public static ImmutableArray<DataDefinition> All { get; } =
    [
        new(FashionMnist, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 60_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, IsGenerated: false, "grey 28×28 pictures of clothing: Xiao et al. 2017"),
        new(Mnist, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 60_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, IsGenerated: false, "grey 28×28 handwritten digits: LeCun et al. 1998"),
        new(Synthetic, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 6_000, TestSamples: 1_000,
            DefaultValidationSamples: 500, IsGenerated: true, "grey 28×28 patterns, one a class, with noise; made on the node, for trials"),
    ];

    public static bool TryGet(string name, [NotNullWhen(true)] out DataDefinition? data)
    {
        data = All.FirstOrDefault(candidate => candidate.Name == name);
        return data is not null;
    }
}
