using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Data;

/// <summary>Data sets by name: from the node's data folder, or generated.</summary>
public static class DataSetReader
{
    /// <param name="spec">A data set of <see cref="DataCatalog"/>, with the sizes that it leaves open.</param>
    /// <param name="dataRoot">Holds one folder a data set.</param>
    /// <exception cref="DataSetException">Unknown, missing or damaged.</exception>
    public static ImageDataSet Read(DataSpec spec, string dataRoot)
    {
        if (DataCatalog.Of(spec) is not { } definition)
            throw new DataSetException($"data.name is {spec.Name}; known data sets: {string.Join(", ", DataCatalog.All.Select(d => d.Name))}");
        return definition.Layout switch
        {
            DataLayout.Generated => SyntheticImages.Generate(definition),
            DataLayout.Idx => IdxDataSet.Read(definition, dataRoot),
            DataLayout.Cifar => CifarDataSet.Read(definition, dataRoot),
            _ => throw new DataSetException($"data.name is {spec.Name}, which this worker has no reader for"),
        };
    }
}
