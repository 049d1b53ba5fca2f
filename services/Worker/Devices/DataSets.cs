using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Devices;

/// <summary>Finds which data sets this node has.</summary>
internal static class DataSets
{
    /// <summary>Data sets of the catalogue whose files are all in <paramref name="dataRoot"/>, those that need no files, and the folders of pictures there
    /// as <c>image-folder/NAME</c>.</summary>
    public static IReadOnlyList<string> Find(string dataRoot) =>
        [.. DataCatalog.All.Where(data => IsHere(dataRoot, data)).Select(data => data.Name), .. Folders(dataRoot)];

    private static bool IsHere(string dataRoot, DataDefinition data) => data.Layout switch
    {
        DataLayout.Idx => IdxDataSet.IsIn(dataRoot, data.Name),
        DataLayout.Cifar => CifarDataSet.IsIn(dataRoot, data.Name),
        _ => data.IsGenerated,
    };

    private static IEnumerable<string> Folders(string dataRoot)
    {
        if (!Directory.Exists(dataRoot))
            yield break;
        foreach (var folder in new DirectoryInfo(dataRoot).EnumerateDirectories().OrderBy(folder => folder.Name, StringComparer.Ordinal))
        {
            if (!DataFolder.IsWithin(dataRoot, folder))
                continue;
            if (ImageFolder.IsIn(folder.FullName))
                yield return DataCatalog.AdvertisedName(new DataSpec { Name = DataCatalog.ImageFolder, Folder = folder.Name });
            if (TarShards.IsIn(folder.FullName))
                yield return DataCatalog.AdvertisedName(new DataSpec { Name = DataCatalog.TarShards, Folder = folder.Name });
        }
    }
}
