using Cluster.Contracts.V1;
using Cluster.Dashboard.DataSets;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.DataSets;

public sealed class DataOfferTests
{
    [Fact]
    public void DataSets_AreThoseOfTheCatalogue_AndTheFoldersThatReadyNodesHave()
    {
        var (one, other, lost) = (Some.Node("b"), Some.Node("a"), Some.Node("gone", NodeState.Lost));
        foreach (var node in new[] { one, other, lost })
            node.DataSets.Add("image-folder/photos");
        other.DataSets.Add("own-format");

        var offers = DataOffer.Of([one, other, lost]);

        offers.Single(offer => offer.Name == "fashion-mnist").Nodes.ShouldBe(["a", "b"]);
        offers.Single(offer => offer.Name == "cifar-10").Nodes.ShouldBeEmpty();
        offers.ShouldNotContain(offer => offer.Name == "image-folder");
        var folder = offers.Single(offer => offer.Name == "image-folder/photos");
        folder.Nodes.ShouldBe(["a", "b"]);
        folder.Data!.IsFolder.ShouldBeTrue();
        offers.Single(offer => offer.Name == "own-format").Data.ShouldBeNull();
    }
}
