using Cluster.Contracts.V1;
using Cluster.Dashboard.Runs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Runs;

public sealed class RunFilterTests
{
    private static readonly Run Run = Some.Run(Some.Job("my-run", JobState.Succeeded));

    [Theory]
    [InlineData("", true)]
    [InlineData("my-", true)]
    [InlineData("ALICE", true)]
    [InlineData("nobody", false)]
    [InlineData("lr>0.001", true)]
    [InlineData("lr > 0.002", false)]
    [InlineData("lr=0.002 epochs<=2", true)]
    [InlineData("lr=0.002 epochs!=2", false)]
    [InlineData("model=lenet5", true)]
    [InlineData("model!=LENET5", false)]
    [InlineData("name=\"my-run\"", true)]
    [InlineData("test>0", false)]
    public void Terms_MustAllHold(string filter, bool matches)
    {
        var parsed = RunFilter.Parse(filter);

        parsed.Fault.ShouldBeNull();
        parsed.Matches(Run).ShouldBe(matches);
    }

    [Theory]
    [InlineData("speed>1", "'speed' is no column; there are name, id")]
    [InlineData("lr=fast", "'lr' is a number, and 'fast' is none")]
    [InlineData("model>a", "'model' is no number; compare it by = or !=")]
    public void WhatCannotBeMeant_IsSaid(string filter, string said) => RunFilter.Parse(filter).Fault!.ShouldStartWith(said);
}
