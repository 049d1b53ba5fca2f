using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Catalog;

/// <summary>The data sets that a job can name. Which of them a node has, the node says.</summary>
public static class DataCatalog
{
    public const string FashionMnist = "fashion-mnist", Mnist = "mnist", Cifar10 = "cifar-10", Cifar100 = "cifar-100",
        Synthetic = "synthetic", ImageFolder = "image-folder", TarShards = "tar-shards", RawShards = "raw-shards";

    /// <summary>CIFAR-100's 20 superclasses instead of its 100 classes.</summary>
    public const string CoarseLabels = "coarse";

    /// <summary>Crops of training pictures that are not at a random place of the resized picture.</summary>
    public const string RandomResizedCrop = "resized", CenterCrop = "center";

    /// <summary>Evaluation by the mean of ten crops.</summary>
    public const string TenCrops = "ten";

    /// <summary>No camera's picture comes near it (67 million pixels) once it is shrunk.</summary>
    public const long DefaultMaxImagePixels = 1L << 26;

    /// <summary>Photographs of five threads at once, of 12 million pixels each, for a network of 224 pixels.</summary>
    public const int DefaultDecodingMemoryMib = 64;

    private const int Cifar100Superclasses = 20;

    public static ImmutableArray<DataDefinition> All { get; } =
    [
        new(FashionMnist, DataLayout.Idx, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 60_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, "grey 28×28 pictures of clothing: Xiao et al. 2017"),
        new(Mnist, DataLayout.Idx, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 60_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, "grey 28×28 handwritten digits: LeCun et al. 1998"),
        new(Cifar10, DataLayout.Cifar, Channels: 3, Height: 32, Width: 32, Classes: 10, TrainSamples: 50_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, "colour 32×32 pictures of animals and vehicles: Krizhevsky 2009"),
        new(Cifar100, DataLayout.Cifar, Channels: 3, Height: 32, Width: 32, Classes: 100, TrainSamples: 50_000, TestSamples: 10_000,
            DefaultValidationSamples: 5_000, "the same kind of pictures in 100 classes, or in 20 superclasses: Krizhevsky 2009"),
        new(Synthetic, DataLayout.Generated, Channels: 1, Height: 28, Width: 28, Classes: 10, TrainSamples: 6_000, TestSamples: 1_000,
            DefaultValidationSamples: 500,
            "patterns, one a class, with noise, of any size, grey or coloured; made on the node, for trials"),
        Folder(ImageFolder, DataLayout.ImageFolder,
            "JPEG and PNG files as train/CLASS/*.jpg and val/CLASS/*.jpg, test likewise if it is there"),
        Folder(TarShards, DataLayout.TarShards,
            "JPEG and PNG files as pairs of 0001.jpg and 0001.cls in train-*.tar and val-*.tar, test likewise if it is there"),
        Folder(RawShards, DataLayout.RawShards,
            "decoded pictures in train-*.safetensors and val-*.safetensors, which ./cluster data pack makes, test likewise if it is there"),
    ];

    public static bool TryGet(string name, [NotNullWhen(true)] out DataDefinition? data)
    {
        data = All.FirstOrDefault(candidate => candidate.Name == name);
        return data is not null;
    }

    /// <summary>The data set as a job uses it, with the sizes that its file gives; null if there is none of that name.</summary>
    public static DataDefinition? Of(DataSpec spec)
    {
        if (!TryGet(spec.Name, out var data))
            return null;
        if (data.IsFolder)
            return Cropped(data, spec);
        if (data.IsGenerated)
            return Sized(data, spec);
        return spec.Labels == CoarseLabels ? data with { Classes = Cifar100Superclasses } : data;
    }

    /// <summary>Memory of a rank that pictures take while they are decoded: none where they lie in memory as they are.</summary>
    public static long DecodingBytes(DataSpec spec) =>
        TryGet(spec.Name, out var data) && data.IsFolder
            ? (long)(spec.DecodingMemoryMib > 0 ? spec.DecodingMemoryMib : DefaultDecodingMemoryMib) << 20
            : 0;

    /// <summary>
    /// What a node that has the data says it has: "cifar-10", "image-folder/my-photos"; empty where no data set is named.
    /// </summary>
    public static string AdvertisedName(DataSpec? spec) =>
        spec is null ? "" : TryGet(spec.Name, out var data) && data.IsFolder ? $"{spec.Name}/{spec.Folder}" : spec.Name;

    private static DataDefinition Folder(string name, DataLayout layout, string summary) =>
        new(name, layout, Channels: 3, Height: 224, Width: 224, Classes: 1000, TrainSamples: 0, TestSamples: 0, DefaultValidationSamples: 0,
            summary)
        {
            ShorterSide = 256,
        };

    private static DataDefinition Cropped(DataDefinition data, DataSpec spec)
    {
        var shorterSide = Given(spec.ImageSize, data.ShorterSide);
        var crop = shorterSide * 7 / 8; // as 224 of 256
        return data with
        {
            Classes = Given(spec.Classes, data.Classes),
            Channels = Given(spec.Channels, data.Channels),
            Height = crop,
            Width = crop,
            ShorterSide = shorterSide,
        };
    }

    private static DataDefinition Sized(DataDefinition data, DataSpec spec) => data with
    {
        Classes = Given(spec.Classes, data.Classes),
        Channels = Given(spec.Channels, data.Channels),
        Height = Given(spec.ImageSize, data.Height),
        Width = Given(spec.ImageSize, data.Width),
        ShorterSide = Given(spec.ImageSize, data.Height),
    };

    // proto3: a number that was never filled in.
    private static int Given(int value, int byDefault) => value > 0 ? value : byDefault;
}
