using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Describing;
using Cluster.Worker.Devices;
using Google.Protobuf;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Models taken apart by a process of the agent's.</summary>
public sealed class DescribeTests : AgentTest
{
    private static readonly string Real = $"exec dotnet '{typeof(AgentHost).Assembly.Location}' \"$@\"";

    [Fact]
    public async Task Describe_OfSeveral_AnswersEachInOrder_FromOneProcess()
    {
        await using var agent = await StartAsync(Scheduler, $"echo started >>\"$(dirname \"$0\")/started\"; {Real}", End);
        var whole = Query("alexnet", batch: 4, ("inputSize", "28"), ("channels", "1"), ("classes", "10"), ("width", "0.25"));
        var (tower, hybrid) = (
            whole.Clone(), Query("alexnet_owt", batch: 4, ("inputSize", "28"), ("channels", "1"), ("classes", "10"), ("width", "0.25")));
        tower.Parts = 2;
        (hybrid.Parts, hybrid.Hybrid) = (2, true);
        var layers = Query("lenet5", batch: 0);
        layers.Layers = true;
        var wrong = new ModelQuery
        {
            Model = new ModelSpec { Name = "lenet5", Options = { ["colour"] = new OptionValue { StringValue = "red" } } },
            Layers = true,
        };

        var answers = (await agent.Client.DescribeModelsAsync(
            new DescribeModelsRequest { Queries = { layers, whole, wrong, tower, hybrid } }, agent.Options(End))).Answers;

        answers.Count.ShouldBe(5);
        answers[0].Description.Parameters.ShouldBe(61_706);
        answers[0].Description.Layers.Sum(layer => layer.Parameters).ShouldBe(61_706);
        answers[0].Description.Layers[0].OutputShape.ShouldBe([6, 28, 28]);
        answers[0].Description.Memory.ShouldBeNull();
        answers[2].Fault.ShouldContain("colour");
        var (all, half) = (answers[1].Description.Memory, answers[3].Description.Memory);
        all.Total.ShouldBe(all.Parameters + all.Gradients + all.OptimizerState + all.Activations + all.Transient + all.Process);
        half.Parameters.ShouldBeInRange(all.Parameters / 2, all.Parameters * 2 / 3, "a tower has half of the network, and the biases");
        // Its fully connected layers, most of it, are halved.
        answers[4].Description.Memory.Parameters.ShouldBeInRange(all.Parameters / 3, all.Parameters);
        File.ReadAllLines(Path.Combine(Path.GetDirectoryName(agent.StateFolder)!, "started")).ShouldHaveSingleItem();
    }

    /// <summary>Of the state; gradients and the running average are whole on every rank.</summary>
    [Fact]
    public void Describe_OfADividedOptimizer_CountsARanksShareOfItsState()
    {
        var whole = Query("lenet5", batch: 4);
        whole.Optimizer = new OptimizerSpec { Name = "adam" };
        whole.Averaged = true;
        var shared = whole.Clone();
        shared.StateShares = 4;

        var (all, share) = (ModelDescriber.Answer(whole).Description.Memory, ModelDescriber.Answer(shared).Description.Memory);

        all.OptimizerState.ShouldBe(3 * all.Gradients); // mean, square and average
        share.OptimizerState.ShouldBe(all.Gradients * 3 / 2);
        (share.Parameters, share.Gradients).ShouldBe((all.Parameters, all.Gradients));
        (all.Total - share.Total).ShouldBe(2 * (all.OptimizerState - share.OptimizerState)); // and its copy in a checkpoint
    }

    [Fact]
    public void Describe_OfGradientsThatRanksSum_CountsTheLargestTwice()
    {
        var alone = Query("lenet5", batch: 4);
        var summed = alone.Clone();
        summed.GradientsSummed = true;

        var (one, several) = (ModelDescriber.Answer(alone).Description.Memory, ModelDescriber.Answer(summed).Description.Memory);

        (several.Transient - one.Transient).ShouldBe(400 * 120 * sizeof(float)); // of its first fully connected layer
    }

    [Fact]
    public async Task Samples_AreTheFirstPicturesOfAnEpoch_AsTheJobSeesThem_Small()
    {
        await using var agent = await StartAsync(Scheduler, Real, End);
        var query = new SampleQuery
        {
            Data = new DataSpec { Name = DataCatalog.Synthetic, Classes = 10, Channels = 3, ImageSize = 200, ValidationSamples = 100 },
            Seed = 3,
            InputSize = 200,
            Count = 5,
        };

        var answers = (await agent.Client.DescribeModelsAsync(
            new DescribeModelsRequest { Queries = { Query("lenet5", batch: 1) }, Samples = query }, agent.Options(End))).Answers;

        answers.Count.ShouldBe(2);
        var samples = answers[1].Samples;
        (samples.Size, samples.Channels, samples.TrainSamples).ShouldBe((66, 3, 5_900));
        samples.Samples.Count.ShouldBe(5);
        samples.Samples.ShouldAllBe(sample => sample.Pixels.Length == 66 * 66 * 3 && sample.ClassName.Length > 0);
        samples.Samples.Select(sample => sample.Pixels).ShouldBeUnique();
    }

    [Fact]
    public void Samples_AreWhatTrainingRenders_AndAnEpochHasItsOwn()
    {
        var query = new SampleQuery
        {
            Data = new DataSpec
            {
                Name = DataCatalog.Synthetic,
                Classes = 10,
                Channels = 1,
                ImageSize = 28,
                Augmentation = new Augmentation { CropPadding = 4, Flip = true },
            },
            Seed = 3,
            InputSize = 28,
            Count = 3,
        };
        var (first, second) = (DataSampler.Answer(query).Samples, DataSampler.Answer(Later(query)).Samples);
        var data = DataSetReader.Read(query.Data, "/nonexistent");
        var renderer = SampleRenderers.For(data, new JobSpec { Data = query.Data, Seed = 3 }, 28);
        using var buffers = new PictureBuffers();
        var (levels, shift) = (new byte[28 * 28], new double[1]);
        renderer.RenderLevels(data.Train, EpochOrder.Shuffled(3, 0, data.Train.Count)[2], new Visit(0), buffers, levels, shift);

        first.Samples[2].Pixels.ShouldBe(ByteString.CopyFrom(levels));
        first.Samples.Select(sample => sample.Pixels).Intersect(second.Samples.Select(sample => sample.Pixels)).ShouldBeEmpty();

        static SampleQuery Later(SampleQuery query)
        {
            var later = query.Clone();
            later.Epoch = 1;
            return later;
        }
    }

    [Fact]
    public void Samples_OfDataThatIsNotThere_AreAFaultInWords() =>
        DataSampler.Answer(new SampleQuery { Data = new DataSpec { Name = DataCatalog.Mnist }, DataRoot = "/nonexistent", InputSize = 28 })
            .Fault.ShouldContain("/nonexistent");

    [Fact]
    public async Task Describe_WhenTheProcessDies_GivesWhatItHad_OrSaysHowItDied()
    {
        // A delimited ModelAnswer whose fault is "bad"; then the end.
        await using var partial = await StartAsync(Scheduler, "printf '\\005\\022\\003bad'; exit 3", End);
        await using var none = await StartAsync(Scheduler, "kill -9 $$", End);
        // More than a pipe holds: writing it fails for certain where nobody reads.
        var request = new DescribeModelsRequest { Queries = { Enumerable.Repeat(Query("lenet5", 1), 4_000) } };

        (await partial.Client.DescribeModelsAsync(request, partial.Options(End))).Answers.ShouldHaveSingleItem().Fault.ShouldBe("bad");
        var refusal = await Should.ThrowAsync<RpcException>(async () => await none.Client.DescribeModelsAsync(request, none.Options(End)));

        refusal.StatusCode.ShouldBe(StatusCode.Internal);
        refusal.Status.Detail.ShouldBe("the process that was to build lenet5 ended with signal 9 (SIGKILL)");
    }

    [Fact]
    public async Task Describe_ThatNobodyWaitsForAnyMore_IsKilled()
    {
        await using var agent = await StartAsync(Scheduler,
            "echo $$ >\"$(dirname \"$0\")/pid.new\"; mv \"$(dirname \"$0\")/pid.new\" \"$(dirname \"$0\")/pid\"; exec sleep 1000", End);
        using var impatience = CancellationTokenSource.CreateLinkedTokenSource(End);
        var call = agent.Client.DescribeModelsAsync(new DescribeModelsRequest { Queries = { Query("lenet5", 1) } },
            agent.Options(impatience.Token)).ResponseAsync;
        var file = Path.Combine(Path.GetDirectoryName(agent.StateFolder)!, "pid");
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!File.Exists(file))
            await timer.WaitForNextTickAsync(End);
        var process = int.Parse(await File.ReadAllTextAsync(file, End), System.Globalization.CultureInfo.InvariantCulture);

        await impatience.CancelAsync();

        (await Should.ThrowAsync<RpcException>(() => call)).StatusCode.ShouldBe(StatusCode.Cancelled);
        while (ProcessTimes.TryRead(process) is not null)
            await timer.WaitForNextTickAsync(End);
    }

    [Fact]
    public async Task Describe_WithoutTheAgentsSecret_IsUnauthenticated()
    {
        await using var agent = await StartAsync(Scheduler, "exit 1", End);

        var refusal = await Should.ThrowAsync<RpcException>(
            async () => await agent.Client.DescribeModelsAsync(new DescribeModelsRequest(), agent.Options(End, "wrong")));

        refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    private static ModelQuery Query(string model, int batch, params (string Name, string Value)[] options) => new()
    {
        Model = PublishedModel.Complete(PublishedModel.Read(model, options.Select(option => $"{option.Name}={option.Value}"))),
        RankBatchSize = batch,
        Optimizer = new OptimizerSpec { Name = "sgd", Momentum = 0.9 },
        Precision = Precision.Float32,
    };
}
