using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Training;

/// <summary>Whole runs on a folder of pictures.</summary>
public sealed class PictureTrainingTests : IDisposable
{
    private readonly PictureFolder _folder = new();

    public PictureTrainingTests()
    {
        Write("train", pictures: 16);
        Write("val", pictures: 8);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("one")]
    [InlineData(DataCatalog.TenCrops)]
    public async Task Folder_IsLearnedAndJudgedByItsOwnValidationPart(string crops)
    {
        var cluster = new InMemoryCluster(1);

        var outcome = (await TestRuns.RunAsync(
            cluster, AJob(spec => spec.Evaluation = new EvaluationSpec { Crops = crops }), dataRoot: _folder.Root)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        cluster.Series(MetricNames.ValidationAccuracy).Last().Value.ShouldBe(1); // dark against bright
        cluster.Series(MetricNames.TestAccuracy).ShouldBeEmpty(); // there is no test folder
        cluster.Series(MetricNames.DataBrokenImages).Values.ShouldAllBe(count => count == 0);
    }

    [Fact]
    public async Task BrokenPictures_WithinTheLimit_LeaveEveryNumberOfRanksAlike()
    {
        _folder.Write("train/class-0/3.png", [1, 2, 3]);
        _folder.Write("train/class-1/5.png", []);
        var job = AJob(spec =>
        {
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Data.MaxBrokenImages = 2;
        });

        var one = new InMemoryCluster(1);
        (await TestRuns.RunAsync(one, job, dataRoot: _folder.Root)).ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        var two = new InMemoryCluster(2);
        (await TestRuns.RunAsync(two, job, worldSize: 2, dataRoot: _folder.Root))
            .ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);

        one.Series(MetricNames.DataBrokenImages).Values.ShouldAllBe(count => count == 2);
        two.Series(MetricNames.DataBrokenImages).ShouldBe(one.Series(MetricNames.DataBrokenImages));
        foreach (var (step, loss) in one.Series(MetricNames.TrainLoss))
            two.Series(MetricNames.TrainLoss)[step].ShouldBe(loss, 1e-9 * Math.Abs(loss) + 1e-12, $"step {step}");
    }

    [Fact]
    public async Task BrokenPicture_WithoutALimit_EndsTheJobWithItsName()
    {
        _folder.Write("train/class-0/3.png", [1, 2, 3]);

        var outcome = (await TestRuns.RunAsync(new InMemoryCluster(1), AJob(), dataRoot: _folder.Root)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured);
        outcome.Message.ShouldContain(_folder.Path("train/class-0/3.png"));
        outcome.Message.ShouldContain("data.maxBrokenImages is 0");
    }

    private static JobSpec AJob(Action<JobSpec>? change = null) => TestRuns.AJob(spec =>
    {
        spec.Model.Options["classes"] = TestRuns.Whole(2);
        spec.Model.Options["channels"] = TestRuns.Whole(3);
        spec.Data = new DataSpec
        {
            Name = DataCatalog.ImageFolder,
            Folder = PictureFolder.Name,
            Classes = 2,
            Channels = 3,
            ImageSize = 40, // more than the crop that a network has by default, 7/8 of it, would leave
            Augmentation = new Augmentation
            {
                Crop = DataCatalog.RandomResizedCrop,
                MinScale = 0.5,
                MaxRatio = 4 / 3.0,
                Flip = true,
                PcaJitter = 0.1,
            },
        };
        spec.Hyperparameters.GlobalBatchSize = 8;
        spec.Hyperparameters.Epochs = 3;
        change?.Invoke(spec);
    });

    /// <summary>Dark pictures and bright ones.</summary>
    private void Write(string part, int pictures)
    {
        for (var i = 0; i < pictures; i++)
        {
            _folder.Write($"{part}/class-0/{i}.png", Png.Of(new PictureSize(40, 50), (byte)(20 + i)));
            _folder.Write($"{part}/class-1/{i}.png", Png.Of(new PictureSize(45, 33), (byte)(200 + i)));
        }
    }
}
