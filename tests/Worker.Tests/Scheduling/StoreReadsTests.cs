using Cluster.Bench.Scheduling;

namespace Cluster.Worker.Tests.Scheduling;

public sealed class StoreReadsTests
{
    [Fact]
    public void Since_IsWhatWasReadInBetween_OfTablesThatAreNewToo()
    {
        var before = StoreReads.Parse("jobs|100\nnodes|7\n");
        var after = StoreReads.Parse("jobs|350\nnodes|7\nwaiting_reasons|4\n");

        var between = after.Since(before);

        between.RowsByTable.ShouldBe(
            new Dictionary<string, long> { ["jobs"] = 250, ["nodes"] = 0, ["waiting_reasons"] = 4 }, ignoreOrder: true);
        between.Rows.ShouldBe(254);
    }

    [Fact]
    public void Words_NameTheTablesThatMostWasReadOf_AnOperation() =>
        StoreReads.Parse("tokens|20\njobs|100000\nnodes|400\nruns|10\n").Words(operations: 100).ShouldBe("jobs 1000, nodes 4, tokens 0.2");
}
