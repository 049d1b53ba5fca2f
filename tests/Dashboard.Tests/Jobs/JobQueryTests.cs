using Cluster.Contracts.V1;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Jobs;

public sealed class JobQueryTests
{
    private static readonly IReadOnlyList<JobRow> Rows =
    [
        JobRow.Of(Some.Job("beta", JobState.Succeeded, 2, job => job.Owner = "bob")),
        JobRow.Of(Some.Job("alpha", JobState.Queued, 1)),
        JobRow.Of(Some.Job("gamma", JobState.Failed, 0, job => job.Progress.TrainLoss = double.NaN)),
    ];

    [Theory]
    [InlineData("", "", "beta alpha gamma")]
    [InlineData("BOB lenet", "", "beta")]
    [InlineData("bob alpha", "", "")]
    [InlineData("", "queued", "alpha")]
    [InlineData("worker-1", "", "beta gamma")]
    public void Words_MustAllStandSomewhere_AndTheStateMustFit(string text, string state, string names) =>
        Names(Query() with { Text = text, State = state }).ShouldBe(names);

    [Theory]
    [InlineData("name", false, "alpha beta gamma")]
    [InlineData("name", true, "gamma beta alpha")]
    [InlineData("loss", true, "beta gamma alpha")]
    [InlineData("loss", false, "gamma beta alpha")]
    [InlineData("created", true, "beta alpha gamma")]
    public void Sort_PutsWhatHasNoFigureLast(string sort, bool isDescending, string names) =>
        Names(Query() with { Sort = sort, IsDescending = isDescending }).ShouldBe(names);

    [Fact]
    public void Address_SaysWhatIsNotTheDefault_AndAnotherSortBeginsAtTheFirstPage()
    {
        Query().Address.ShouldBe("/jobs");
        var query = JobQuery.Of("a&b", "failed", "name", false, 3);
        query.Address.ShouldBe("/jobs?q=a%26b&state=failed&sort=name&desc=false&page=3");
        query.SortedBy("name").Address.ShouldBe("/jobs?q=a%26b&state=failed&sort=name&desc=true");
        query.SortedBy("accuracy").IsDescending.ShouldBeTrue();
    }

    private static JobQuery Query() => JobQuery.Of(null, null, null, null, null);

    private static string Names(JobQuery query) => string.Join(' ', query.Of(Rows).Select(row => row.Name));
}
