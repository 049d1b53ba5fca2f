using Cluster.Contracts.Catalog;

namespace Cluster.Worker.Devices;

/// <summary>Finds which data sets of the catalogue this node has.</summary>
internal static class DataSets
{
    private static readonly string[] IdxFiles =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

    /// <summary>Data sets whose four IDX files, plain or gzipped, lie in <c>dataRoot/NAME</c>, and those that need no files.</summary>
    public static IReadOnlyList<string> Find(string dataRoot) =>
        [.. DataCatalog.All.Where(data => data.IsGenerated || HasIdxFiles(Path.Combine(dataRoot, data.Name))).Select(data => data.Name)];

    private static bool HasIdxFiles(string folder) =>
        IdxFiles.All(file => File.Exists(Path.Combine(folder, file)) || File.Exists(Path.Combine(folder, file + ".gz")));
}
