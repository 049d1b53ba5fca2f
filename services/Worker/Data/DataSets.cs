using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Indexing;

namespace Cluster.Worker.Data;

/// <summary>Finds which data sets this node has.</summary>
internal static class DataSets
{
    private const int MostLookedAt = 2000;

    /// <summary>
    /// Data sets of the catalogue whose files are all in <paramref name="dataRoot"/>, those that need no files, and the folders of pictures
    /// there as <c>image-folder/NAME</c>.
    /// </summary>
    /// <param name="dataRoot">Of the node.</param>
    /// <param name="unusable">Is told, in words, of what looks like a data set and cannot be one.</param>
    public static IReadOnlyList<string> Find(string dataRoot, Action<string>? unusable = null)
    {
        unusable ??= _ => { };
        return [.. DataCatalog.All.Where(data => IsHere(dataRoot, data)).Select(data => data.Name), .. Folders(dataRoot, unusable)];
    }

    /// <summary>Whether one that was found is still there, and whole.</summary>
    public static bool Has(string dataRoot, string name) => DataCatalog.TryGet(name, out var data)
        ? IsHere(dataRoot, data)
        : TryLook(() => LayoutsOf(dataRoot, FolderOf(name)), _ => { })?.Exists(layout => name == $"{layout}/{FolderOf(name)}") == true;

    /// <summary>
    /// Of what lies in a data set's folder and one level deeper, by names, sizes and times: while somebody copies into it, it changes.
    /// Null where it changes under the look.
    /// </summary>
    public static int? Fingerprint(string dataRoot, string name)
    {
        var hash = new HashCode();
        try
        {
            foreach (var path in Entries(Path.Combine(dataRoot, FolderOf(name))).SelectMany(entry => Entries(entry).Prepend(entry)))
            {
                var file = new FileInfo(path);
                hash.Add(path);
                hash.Add(file.LastWriteTimeUtc);
                hash.Add(file.Exists ? file.Length : 0);
            }

            return hash.ToHashCode();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // The first so many tell whether a copy is under way as well as all would: there may be a hundred thousand, on a slow file system.
    private static IEnumerable<string> Entries(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Take(MostLookedAt) : [];

    private static string FolderOf(string name) => name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..];

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
        foreach (var entry in TryLook(() => new FolderListing(dataRoot).Read(dataRoot), unusable) ?? [])
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
        if (RawShards.IsIn(dataRoot, name))
            layouts.Add(DataCatalog.RawShards);
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
