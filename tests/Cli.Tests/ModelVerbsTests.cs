using System.Text.Json;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Cli.Tests;

public sealed class ModelVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Models_ListsTheCatalogue_WithoutAScheduler()
    {
        var (text, json) = (new CliRun(), new CliRun());

        (await text.RunAsync(Cancellation, "models")).ShouldBe(ExitCode.Done);
        (await json.RunAsync(Cancellation, "models", "--json")).ShouldBe(ExitCode.Done);

        text.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1 + ModelCatalog.All.Length);
        text.Out.ShouldContain("resnet50");
        text.Out.ShouldContain("25,557,032   4.0892 G   76.13 %   92.862 %  He");
        var listed = JsonDocument.Parse(json.Out).RootElement;
        listed.EnumerateArray().Select(model => model.GetProperty("name").GetString())
            .ShouldBe(ModelCatalog.All.Select(model => model.Name));
        var lenet = listed.EnumerateArray().First();
        lenet.GetProperty("input").GetString().ShouldBe("1×32×32");
        lenet.GetProperty("parameters").GetInt64().ShouldBe(61_706);
        lenet.TryGetProperty("top1", out _).ShouldBeFalse();
    }

    [Fact]
    public async Task Describe_SendsThePublishedModelWithTheOptionsGiven_AndPrintsLayersAndMemory()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "models", "describe", "lenet5", "--option", "activation=relu", "--option", "classes=4", "--batch",
            "128", "--optimizer", "adam"))
            .ShouldBe(ExitCode.Done);

        var request = cluster.Described.ShouldHaveSingleItem();
        request.Model.Options["classes"].IntValue.ShouldBe(4);
        request.Model.Options["activation"].StringValue.ShouldBe("relu");
        request.Model.Options["inputSize"].IntValue.ShouldBe(32);
        request.BatchSize.ShouldBe(128);
        request.Optimizer.Name.ShouldBe("adam");
        request.Optimizer.Beta2.ShouldBe(0.999);
        request.Precision.ShouldBe(Precision.Float32);
        run.Out.ShouldContain("options     activation relu, channels 1, classes 4, init paper, inputSize 32\n");
        run.Out.ShouldContain("parameters  156\n");
        run.Out.ShouldContain(
            "memory      1.5 GiB (parameters 2 KiB, gradients 2 KiB, optimizer 4 KiB, activations 1 MiB, backward 2 MiB, process 150 MiB); "
                + "batch 128, adam, float32\n");
        run.Out.ShouldContain("conv1  Conv2d  6×28×28  156         117,600\n");
    }

    [Fact]
    public async Task Describe_AsJson_PrintsTheAnswer()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "models", "describe", "lenet5", "--json");

        JsonParser.Default.Parse<DescribeModelResponse>(run.Out).Description.Parameters.ShouldBe(156);
        cluster.Described[0].BatchSize.ShouldBe(0);
    }

    [Theory]
    [InlineData("model.name is lenet6 but no model of that name is known; did you mean lenet5?", "lenet6")]
    [InlineData(
        "model.options.activaton is relu but lenet5 has no such option; did you mean activation?", "lenet5", "--option", "activaton=relu")]
    [InlineData(
        "model.options.inputSize is 30 but must be 28 or 32; leave it out to take it from the data", "lenet5", "--option", "inputSize=30")]
    [InlineData("--option is width but must be a name and a value; write it as width=0.5", "lenet5", "--option", "width")]
    [InlineData(
        "hyperparameters.precision is \"float8\" but must be float32, tf32, float64 or bfloat16; use float32, tf32, float64 or bfloat16",
        "lenet5", "--precision", "float8")]
    [InlineData(
        "--batch is 0 but must be at least 1; use a number such as 128; see ./cluster models describe --help", "lenet5", "--batch", "0")]
    public async Task Describe_OfWhatDoesNotExist_SaysSoAndAsksNobody(string line, params string[] arguments)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, ["models", "describe", .. arguments])).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(line + "\n");
        cluster.Described.ShouldBeEmpty();
    }
}
