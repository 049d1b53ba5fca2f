using System.Collections.Immutable;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data;

/// <summary>Data sets by name: from the node's data folder, or generated.</summary>
public static class DataSetReader
{
    /// <param name="spec">A data set of <see cref="DataCatalog"/>, with the sizes that it leaves open.</param>
    /// <param name="dataRoot">Holds one folder a data set.</param>
    /// <param name="notes">Is told how far it is, and what is passed over.</param>
    /// <exception cref="DataSetException">Unknown, missing or damaged.</exception>
    public static ImageDataSet Read(DataSpec spec, string dataRoot, DataNotes? notes = null) =>
        Read(spec, dataRoot, notes ?? new DataNotes(), null);

    /// <param name="spec">A data set of <see cref="DataCatalog"/>, with the sizes that it leaves open.</param>
    /// <param name="dataRoot">Holds one folder a data set.</param>
    /// <param name="notes">Is told how far it is, and what is passed over.</param>
    /// <param name="index">By which to list what has been listed before.</param>
    /// <exception cref="DataSetException">Unknown, missing or damaged.</exception>
    internal static ImageDataSet Read(DataSpec spec, string dataRoot, DataNotes notes, DataIndex? index)
    {
        var definition = Definition(spec);
        var decoding = Decoding.Of(spec, definition.Channels);
        var data = definition.Layout switch
        {
            DataLayout.Generated => SyntheticImages.Generate(definition),
            DataLayout.Idx => IdxDataSet.Read(definition, dataRoot),
            DataLayout.Cifar => CifarDataSet.Read(definition, dataRoot),
            DataLayout.ImageFolder => OfFolder(
                definition,
                ImageFolder.Open(dataRoot, spec.Folder, definition.Classes, decoding, notes, index),
                spec, decoding, notes, index),
            DataLayout.TarShards => OfFolder(
                definition,
                TarShards.Open(dataRoot, spec.Folder, definition.Classes, decoding, notes, index),
                spec, decoding, notes, index),
            DataLayout.RawShards => OfFolder(
                definition,
                RawShards.Open(dataRoot, spec.Folder, definition.Classes, decoding, notes),
                spec, decoding, notes, index),
            _ => throw new DataSetException($"data.name is {spec.Name}, which this worker has no reader for"),
        };
        return data with { Normalization = Given(spec.Normalization, data.Normalization), Notes = notes.Told };
    }

    /// <summary>Colours of a data set's pictures, of whatever it says of them itself.</summary>
    /// <exception cref="DataSetException">There is none of that name.</exception>
    internal static int ChannelsOf(DataSpec spec) => Definition(spec).Channels;

    private static DataDefinition Definition(DataSpec spec) => DataCatalog.Of(spec) ?? throw new DataSetException(
        $"data.name is {spec.Name}; known data sets: {string.Join(", ", DataCatalog.All.Select(d => d.Name))}");

    private static ImageDataSet OfFolder(
        DataDefinition definition, (ImagePart Train, ImagePart Validation, ImagePart Test) parts, DataSpec spec, Decoding decoding,
        DataNotes notes, DataIndex? index)
    {
        index?.Complete(); // other ranks wait for the listing, not for what follows
        var isGiven = Values(spec.Normalization?.Mean).Length > 0 && Values(spec.Normalization?.Deviation).Length > 0;
        var normalization = isGiven
            ? ChannelNormalization.Uniform(definition.Channels, 0, 1)
            : MeasuredNormalization.Of(parts.Train, decoding, notes, index);
        return new ImageDataSet(definition, normalization, parts.Train, parts.Test, parts.Validation);
    }

    /// <summary>The data set's own normalisation but for what the job says.</summary>
    private static ChannelNormalization Given(Normalization? spec, ChannelNormalization own)
    {
        var (mean, deviation) = (Values(spec?.Mean), Values(spec?.Deviation));
        return new ChannelNormalization(mean.Length > 0 ? mean : own.Mean, deviation.Length > 0 ? deviation : own.Deviation);
    }

    private static ImmutableArray<float> Values(string? text) =>
        ChannelValues.TryRead(text ?? "", out var values) ? [.. values.Select(value => (float)value)] : [];
}
