using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using Microsoft.Extensions.Configuration;

namespace Cluster.Worker.Tests.Training;

public sealed class TrainerSettingsTests
{
    [Fact]
    public void Read_OfWhatIsSet_LeavesTheRestAtItsDefault()
    {
        var options = TrainerSettings.Read<CollectiveOptions>(
            Settings(("Collectives:OperationTimeout", "00:02:00")), CollectiveOptions.SectionName);
        options.OperationTimeout.ShouldBe(TimeSpan.FromMinutes(2));
        options.ChunkBytes.ShouldBe(new CollectiveOptions().ChunkBytes);
    }

    [Theory]
    [InlineData("Collectives:OperationTimeout", "soon")]
    [InlineData("Collectives:OperationTimeout", "00:00:00")]
    [InlineData("Collectives:ChunkBytes", "1")]
    public void Read_OfAValueThatCannotBe_NamesSectionAndSetting(string key, string value) =>
        Should.Throw<JobMisconfiguredException>(
            () => TrainerSettings.Read<CollectiveOptions>(Settings((key, value)), CollectiveOptions.SectionName))
            .Message.ShouldSatisfyAllConditions(
                m => m.ShouldStartWith("the worker's settings Collectives:"), m => m.ShouldContain(key.Split(':')[1]));

    [Fact]
    public void Read_OfTheGradientsSection_SetsTheBucketSize() =>
        TrainerSettings.Read<GradientOptions>(Settings(("Gradients:BucketBytes", "65536")), GradientOptions.SectionName)
            .BucketBytes.ShouldBe(65536);

    private static IConfiguration Settings(params (string Key, string Value)[] values) =>
        new ConfigurationBuilder().AddInMemoryCollection(values.ToDictionary(v => v.Key, v => (string?)v.Value)).Build();
}
