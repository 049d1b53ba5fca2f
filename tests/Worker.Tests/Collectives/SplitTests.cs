using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Groups of some of the ranks, as the axes of a mesh are.</summary>
public sealed class SplitTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("aaaa")]
    [InlineData("abcd")]
    [InlineData("aabb")]
    [InlineData("abab")]
    public void SplitAsync_IntoRowsAndColumns_SumsWithinEach(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var row = group.SplitAsync("model", group.Rank / 2, Token).GetAwaiter().GetResult();
            using var column = group.SplitAsync("data", group.Rank % 2, Token).GetAwaiter().GetResult();
            row.WorldSize.ShouldBe(2);
            row.Rank.ShouldBe(group.Rank % 2);
            column.Rank.ShouldBe(group.Rank / 2);

            Sum(row, 1 << group.Rank).ShouldBe(group.Rank < 2 ? 0b0011 : 0b1100);
            Sum(column, 1 << group.Rank).ShouldBe(group.Rank % 2 == 0 ? 0b0101 : 0b1010);
            Sum(group, 1 << group.Rank).ShouldBe(0b1111);
        });
    }

    [Theory]
    [InlineData("aaa")]
    [InlineData("aab")]
    public void SplitAsync_LeavingOneRankAlone_GivesItAGroupOfItself(string placement)
    {
        using var ranks = new Ranks(placement);
        ranks.Run(group =>
        {
            using var part = group.SplitAsync("part", group.Rank == 2 ? 7 : -1, Token).GetAwaiter().GetResult();
            part.WorldSize.ShouldBe(group.Rank == 2 ? 1 : 2);
            Sum(part, 1 << group.Rank).ShouldBe(group.Rank == 2 ? 0b100 : 0b011);
        });
    }

    [Fact]
    public void SplitAsync_OfASplit_MayUseTheSameNameAgain()
    {
        using var ranks = new Ranks("aaaa");
        ranks.Run(group =>
        {
            using var half = group.SplitAsync("part", group.Rank / 2, Token).GetAwaiter().GetResult();
            using var again = half.SplitAsync("part", 0, Token).GetAwaiter().GetResult();
            Sum(again, 1 << group.Rank).ShouldBe(group.Rank < 2 ? 0b0011 : 0b1100);
        });
    }

    [Theory]
    [InlineData("aaaa")]
    [InlineData("abcd")]
    public void AllReduce_OfASplitThatAMemberHasLeft_NamesItByTheJobsNumber(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var column = group.SplitAsync("data", group.Rank % 2, Token).GetAwaiter().GetResult();
            if (group.Rank != 3)
                column.AllReduce<float>(new float[100], "gradients/0");
        });
        var failure = failures[1].ShouldBeOfType<CollectiveException>();
        failure.Peer.ShouldBe(3);
        failure.Message.ShouldContain("rank 3 ");
        failure.Message.ShouldContain(
            "in 'gradients/0' of group 'data': an all-reduce of 400 bytes (sum of float32), operation 1 (seen by rank 1 ");
        failures[0].ShouldBeNull();
    }

    private static float Sum(ICollectiveGroup group, float value)
    {
        float[] values = [value];
        group.AllReduce(values.AsSpan(), "sum");
        return values[0];
    }
}
