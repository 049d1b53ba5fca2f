using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>The MNIST family: four IDX files, plain or gzipped, in <c>dataRoot/NAME</c>.</summary>
public static class IdxDataSet
{
    private static readonly string[] Files =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    public static bool IsIn(string dataRoot, string name) =>
        Files.All(file => Path.Combine(dataRoot, name, file) is var path && (File.Exists(path) || File.Exists(path + ".gz")));

    /// <summary>Loads the whole set into memory (55 MB for 70,000 images of 28×28).</summary>
    /// <exception cref="DataSetException">Missing or damaged.</exception>
    public static ImageDataSet Read(DataDefinition definition, string dataRoot)
    {
        var folder = Path.Combine(dataRoot, definition.Name);
        var (mean, deviation) = definition.Name == DataCatalog.FashionMnist ? (0.2860f, 0.3530f) : (0.1307f, 0.3081f);
        return new ImageDataSet(
            definition,
            ChannelNormalization.Uniform(1, mean, deviation),
            ReadPart(folder, "train", definition.TrainSamples, definition),
            ReadPart(folder, "t10k", definition.TestSamples, definition));
    }

    private static StoredPart ReadPart(string folder, string prefix, int samples, DataDefinition definition)
    {
        var imagesPath = Find(folder, $"{prefix}-images-idx3-ubyte");
        var labelsPath = Find(folder, $"{prefix}-labels-idx1-ubyte");
        var images = IdxFile.Read(imagesPath, rank: 3);
        var labels = IdxFile.Read(labelsPath, rank: 1);
        if (!images.Dims.SequenceEqual([samples, definition.Height, definition.Width]))
            throw new DataSetException($"{imagesPath} holds {string.Join("×", images.Dims)} values; "
                + $"{definition.Name} has {samples}×{definition.Height}×{definition.Width}");
        if (labels.Dims[0] != samples)
            throw new DataSetException($"{labelsPath} holds {labels.Dims[0]} labels for {samples} images");
        var wrong = labels.Values.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)(definition.Classes - 1));
        if (wrong >= 0)
            throw new DataSetException($"{labelsPath}, byte {8 + wrong}: label {labels.Values[wrong]}; "
                + $"{definition.Name} has classes 0 to {definition.Classes - 1}");
        return new StoredPart(new PictureSize(definition.Height, definition.Width), 1, images.Values, labels.Values);
    }

    private static string Find(string folder, string name)
    {
        var plain = Path.Combine(folder, name);
        var gzipped = plain + ".gz";
        if (File.Exists(plain))
            return plain;
        return File.Exists(gzipped)
            ? gzipped
            : throw new DataUnavailableException($"neither {plain} nor {gzipped} exists; install the data set on this node");
    }
}
