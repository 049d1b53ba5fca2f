namespace Cluster.Contracts.Catalog;

/// <summary>A data set's shape: what a job file is checked against before any node is asked.</summary>
/// <param name="Name">What a job file calls it.</param>
/// <param name="Layout">How a node has it.</param>
/// <param name="Height">Of the pictures; in a folder of pictures of all sizes, of what a network sees of them by default.</param>
/// <param name="TrainSamples">0 where only the node's folder can tell; so <paramref name="TestSamples"/>.</param>
/// <param name="DefaultValidationSamples">Set aside from the end of the training part where the job file does not say.</param>
public sealed record DataDefinition(
    string Name, DataLayout Layout, int Channels, int Height, int Width, int Classes, int TrainSamples, int TestSamples,
    int DefaultValidationSamples, string Summary)
{
    /// <summary>Needs no files, so that every node has it.</summary>
    public bool IsGenerated => Layout == DataLayout.Generated;

    /// <summary>Pictures of all sizes in a folder that the job file names.</summary>
    public bool IsFolder => Layout is DataLayout.ImageFolder or DataLayout.TarShards or DataLayout.RawShards;

    /// <summary>Whether the job file says how many classes, channels and pixels there are.</summary>
    public bool HasOpenSizes => IsGenerated || IsFolder;

    /// <summary>
    /// What a trainer holds in memory from its first step to its last: every picture and its label, but of a folder none, and none that are
    /// made when asked for.
    /// </summary>
    public long HeldBytes =>
        Layout is DataLayout.Idx or DataLayout.Cifar ? (TrainSamples + TestSamples) * ((long)Channels * Height * Width + 1) : 0;

    /// <summary>Pixels that a folder's pictures are resized to before a crop; of others, what they have.</summary>
    public int ShorterSide { get; init; } = Height;
}

/// <summary>How a node has a data set.</summary>
public enum DataLayout
{
    /// <summary>Made when asked for.</summary>
    Generated,

    /// <summary>The four IDX files of the MNIST family.</summary>
    Idx,

    /// <summary>The binary batches of CIFAR-10 or CIFAR-100.</summary>
    Cifar,

    /// <summary>JPEG and PNG files in a folder for each class.</summary>
    ImageFolder,

    /// <summary>JPEG and PNG files in tar files, each with its class beside it.</summary>
    TarShards,

    /// <summary>Decoded pictures of one size in safetensors files, with their classes.</summary>
    RawShards,
}
