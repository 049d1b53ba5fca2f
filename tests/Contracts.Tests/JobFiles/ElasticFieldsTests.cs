using Cluster.Contracts.JobFiles;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>A job file that names a range of devices.</summary>
public sealed class ElasticFieldsTests
{
    [Fact]
    public void Range_OfDevices_IsTheFewestAndTheMost_AndTheMeshIsThatOfAllOfThem()
    {
        var spec = JobFile.Parse(Yaml("resources: { devices: { min: 2, max: 4 } }"));

        (spec.Resources.MinDevices, spec.Resources.Devices, spec.Mesh.Data).ShouldBe((2, 4, 4));
        JobFile.Parse(JobFile.Write(spec)).ShouldBe(spec);
        JobFile.Parse(Yaml("resources: { devices: 4, minDevices: 2 }")).ShouldBe(spec);
    }

    [Fact]
    public void Number_OfDevices_IsNoRange_AndIsWrittenWithoutOne()
    {
        var spec = JobFile.Parse(Yaml("resources: { devices: 4 }"));

        spec.Resources.MinDevices.ShouldBe(0);
        JobFile.Write(spec).ShouldNotContain("minDevices");
    }

    [Theory]
    [InlineData("resources: { devices: { min: 5, max: 4 } }", "resources.minDevices is 5 but resources.devices is 4; use 4 or less")]
    [InlineData("resources: { devices: { min: 1 } }", "resources.devices has no max; write it as {min: 1, max: 4}, or give one number")]
    [InlineData("resources: { devices: { max: 4 } }", "resources.devices has no min; write it as {min: 1, max: 4}, or give one number")]
    [InlineData(
        "resources: { devices: { min: 1, max: 4, most: 5 } }",
        "resources.devices.most is 5 but no such key exists; write it as {min: 1, max: 4}, or give one number")]
    [InlineData("resources: { devices: { min: 0.5, max: 4 } }", "resources.minDevices is 0.5 but must be a whole number from 1 to 65536")]
    public void Range_ThatIsNone_IsRefusedInOneSentence(string resources, string sentence) =>
        Refusal(Yaml(resources)).ShouldContain(sentence);

    [Theory]
    [InlineData("model", "resources.minDevices is 1 but parallelism is model, whose mesh divides the network itself and cannot change")]
    [InlineData("pipeline", "resources.minDevices is 1 but parallelism is pipeline, whose mesh divides the network itself")]
    [InlineData("hybrid", "resources.minDevices is 1 but parallelism is hybrid, whose mesh divides the network itself")]
    public void Range_WhereTheNetworkIsDivided_IsRefused(string parallelism, string sentence) => Refusal(
        $$"""
        model: { name: alexnet, options: { inputSize: 28, width: 0.125 } }
        data: fashion-mnist
        resources: { devices: { min: 1, max: 2 } }
        parallelism: {{parallelism}}
        """).ShouldContain(sentence);

    [Fact]
    public void Range_WhereEachDeviceNormalisesItsOwnSlice_IsRefused_AndNotWhereAllDoTogether()
    {
        const string yaml =
            """
            model: resnet18
            data: { name: synthetic, imageSize: 32, channels: 3 }
            resources: { devices: { min: 1, max: 2 } }
            """;

        Refusal(yaml).ShouldContain("hyperparameters.syncBatchNorm is false but resnet18 would normalise each device's slice of the batch");
        JobFile.Parse(yaml + "\nhyperparameters: { syncBatchNorm: true }").Resources.MinDevices.ShouldBe(1);
    }

    [Fact]
    public void Range_OfAJobThatOnlyEvaluates_IsRefused() => Refusal(
        """
        task: evaluate
        model: lenet5
        data: fashion-mnist
        initFrom: { checkpoint: 0f3c9a1b }
        resources: { devices: { min: 1, max: 2 } }
        """).ShouldContain("resources.minDevices is 1 but has no effect in task evaluate");

    private static string Refusal(string yaml) => Should.Throw<JobFileException>(() => JobFile.Parse(yaml)).Message;

    private static string Yaml(string resources) =>
        $$"""
        model: lenet5
        data: fashion-mnist
        {{resources}}
        """;
}
