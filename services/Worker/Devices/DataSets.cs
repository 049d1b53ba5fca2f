using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Devices;

/// <summary>Finds which data sets this node has.</summary>
internal static class DataSets
{
    /// <summary>Data sets of the catalogue whose files are all in <paramref name="dataRoot"/>, and those that need no files.</summary>
    public static IReadOnlyList<string> Find(string dataRoot) =>
        [.. DataCatalog.All.Where(data => IsHere(dataRoot, data)).Select(data => data.Name)];

    private static bool IsHere(string dataRoot, DataDefinition data) => data.Layout switch
    {
        DataLayout.Idx => IdxDataSet.IsIn(dataRoot, data.Name),
        DataLayout.Cifar => CifarDataSet.IsIn(dataRoot, data.Name),
        _ => data.IsGenerated,
    };
}
