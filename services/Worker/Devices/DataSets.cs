using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;

namespace Cluster.Worker.Devices;

/// <summary>Finds which data sets this node has.</summary>
internal static class DataSets
{
    /// <summary>Data sets of the catalogue whose files are all in <paramref name="dataRoot"/>, those that need no files, and the folders of pictures there
    /// as <c>image-folder/NAME</c>.</summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="unusable">Is told, in words, of what looks like a data set and cannot be one.</param>
    public static IReadOnlyList<string> Find(string dataRoot, Action<string>? unusable = null)
    {
        unusable ??= _ => { };
        return [.. DataCatalog.All.Where(data => IsHere(dataRoot, data)).Select(data => data.Name), .. Folders(dataRoot, unusable)];
    }

    private static bool IsHere(string dataRoot, DataDefinition data) => data.Layout switch
    {
        DataLayout.Idx => IdxDataSet.IsIn(dataRoot, data.Name),
        DataLayout.Cifar => CifarDataSet.IsIn(dataRoot, data.Name),
        _ => data.IsGenerated,
    };

    private static IEnumerable<string> Folders(string dataRoot, Action<string> unusable)
    {
        if (!Directory.Exists(dataRoot))
            yield break;
        foreach (var entry in TryLook(() => FolderListing.Read(dataRoot, dataRoot), unusable) ?? [])
        {
            var path = Path.Combine(dataRoot, entry.Name);
            if (entry is { Fault: { } fault, Kind: FileKind.Folder or FileKind.Link })
                unusable($"{FileNames.Shown(path)} {fault}");
            else if (entry.IsFolder && !FileNames.IsPassing(entry.Name))
            {
                foreach (var layout in TryLook(() => LayoutsOf(dataRoot, entry.Name), unusable) ?? [])
                    yield return DataCatalog.AdvertisedName(new DataSpec { Name = layout, Folder = entry.Name });
            }
        }
    }

    /// <summary>Which layouts a folder has, with all parts that a job would need; empty where it is no data set of pictures.</summary>
    private static List<string> LayoutsOf(string dataRoot, string name)
    {
        var layouts = new List<string>();
        if (ImageFolder.IsIn(dataRoot, name))
            layouts.Add(DataCatalog.ImageFolder);
        if (TarShards.IsIn(dataRoot, name))
            layouts.Add(DataCatalog.TarShards);
        return layouts;
    }

    /// <summary>Null where what is looked at cannot be used: a folder that somebody else put there does not end the agent.</summary>
    private static List<T>? TryLook<T>(Func<List<T>> look, Action<string> unusable)
    {
        try
        {
            return look();
        }
        catch (Exception e) when (e is DataSetException or IOException or UnauthorizedAccessException)
        {
            unusable(e.Message);
            return null;
        }
    }
}
