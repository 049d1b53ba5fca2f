using Cluster.Contracts.Catalog;

namespace Cluster.Worker.Data;

/// <summary>Data sets by name: from the node's data folder, or generated.</summary>
public static class DataSetReader
{
    /// <summary>Loads the whole set into memory (55 MB for 70,000 images of 28×28).</summary>
    /// <param name="name">One of <see cref="DataCatalog"/>.</param>
    /// <param name="dataRoot">Holds one folder a data set, under its name.</param>
    /// <exception cref="DataSetException">Unknown, missing or damaged.</exception>
    public static ImageDataSet Read(string name, string dataRoot)
    {
        if (!DataCatalog.TryGet(name, out var definition))
            throw new DataSetException($"data.name is {name}; known data sets: {string.Join(", ", DataCatalog.All.Select(d => d.Name))}");
        return name switch
        {
            DataCatalog.Synthetic => SyntheticImages.Generate(definition),
            DataCatalog.FashionMnist => ReadIdx(definition, new PixelNormalization(0.2860f, 0.3530f), dataRoot),
            DataCatalog.Mnist => ReadIdx(definition, new PixelNormalization(0.1307f, 0.3081f), dataRoot),
            _ => throw new DataSetException($"data.name is {name}, which this worker has no reader for"),
        };
    }

    private static ImageDataSet ReadIdx(DataDefinition definition, PixelNormalization normalization, string dataRoot)
    {
        var folder = Path.Combine(dataRoot, definition.Name);
        return new ImageDataSet(
            definition,
            normalization,
            ReadPart(folder, "train", definition.TrainSamples, definition),
            ReadPart(folder, "t10k", definition.TestSamples, definition));
    }

    private static ImagePart ReadPart(string folder, string prefix, int samples, DataDefinition definition)
    {
        var imagesPath = Find(folder, $"{prefix}-images-idx3-ubyte");
        var labelsPath = Find(folder, $"{prefix}-labels-idx1-ubyte");
        var images = IdxFile.Read(imagesPath, rank: 3);
        var labels = IdxFile.Read(labelsPath, rank: 1);
        if (!images.Dims.SequenceEqual([samples, definition.Height, definition.Width]))
            throw new DataSetException($"{imagesPath} holds {string.Join("×", images.Dims)} values; {definition.Name} has {samples}×{definition.Height}×{definition.Width}");
        if (labels.Dims[0] != samples)
            throw new DataSetException($"{labelsPath} holds {labels.Dims[0]} labels for {samples} images");
        var wrong = labels.Values.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)(definition.Classes - 1));
        if (wrong >= 0)
            throw new DataSetException($"{labelsPath}, byte {8 + wrong}: label {labels.Values[wrong]}; {definition.Name} has classes 0 to {definition.Classes - 1}");
        return new ImagePart(images.Values, labels.Values);
    }

    private static string Find(string folder, string name)
    {
        var plain = Path.Combine(folder, name);
        var gzipped = plain + ".gz";
        if (File.Exists(plain))
            return plain;
        return File.Exists(gzipped) ? gzipped : throw new DataSetException($"neither {plain} nor {gzipped} exists; install the data set on this node");
    }
}
