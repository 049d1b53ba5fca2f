using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;

namespace Cluster.Worker.Tests.Data;

public sealed class DataSetsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("data-sets-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Find_GivesThoseWithAllFourFilesPlainOrZipped()
    {
        foreach (var file in new[] { "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz" })
            Touch($"{DataCatalog.FashionMnist}/{file}");
        Touch($"{DataCatalog.Mnist}/train-images-idx3-ubyte");

        DataSets.Find(_folder.FullName).ShouldBe([DataCatalog.FashionMnist, DataCatalog.Synthetic]);
    }

    private void Touch(string name)
    {
        var path = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
    }
}
