using Cluster.Contracts.JobFiles;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>Which jobs are expected to run equally long.</summary>
public sealed class LikenessTests
{
    private const string Short = "model: lenet5\ndata: fashion-mnist\nhyperparameters: {epochs: 3}\n";

    [Theory]
    [InlineData("seed: 7")]
    [InlineData("labels: {owner: somebody}")]
    [InlineData("maxRuntime: 2h")]
    [InlineData("priority: 5")]
    public void Jobs_ThatDifferInNothingThatTakesTime_AreAlike(string line) =>
        LikenessOf(Short + line).ShouldBe(LikenessOf(Short));

    [Fact]
    public void Job_ThatWritesADefaultDown_IsLikeOneThatDoesNot() =>
        LikenessOf(JobFile.Write(JobFile.Parse(Short))).ShouldBe(LikenessOf(Short));

    [Fact]
    public void Jobs_OfMoreEpochs_AreNotAlike() =>
        LikenessOf(Short.Replace("epochs: 3", "epochs: 4", StringComparison.Ordinal)).ShouldNotBe(LikenessOf(Short));

    // As a submit stores it.
    private static string LikenessOf(string yaml) => Convert.ToHexString(Runtimes.Likeness(JobFile.ParseMarked(yaml)));
}
