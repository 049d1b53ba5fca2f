using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Tests.Layout;

public sealed class ColumnChoiceTests
{
    private static readonly ColumnChoice Choice = new(["a", "b", "c"], ["a", "b"]);

    [Theory]
    [InlineData(null, "a b", "")]
    [InlineData("", "a b", "")]
    [InlineData("c,A", "a c", "a,c")]
    [InlineData("nonsense", "a b", "")]
    [InlineData("b,a", "a b", "")]
    public void Address_NamesColumns_AndIsEmptyForTheUsualOnes(string? text, string shown, string address)
    {
        var read = Choice.Read(text, new AddressReader());

        read.Shown.ShouldBe(shown.Split(' '));
        read.Text.ShouldBe(address);
    }

    [Fact]
    public void LastColumn_Stays()
    {
        Choice.With("c", true).Shown.ShouldBe(["a", "b", "c"]);
        Choice.With("a", false).With("b", false).Shown.ShouldBe(["b"]);
    }
}
