using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Tests.Training;

namespace Cluster.Worker.Tests.Trainer;

public sealed class TrainingSessionTests
{
    [Fact]
    public async Task WholeRun_LearnsAndReports()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);

        var outcome = (await TestRuns.RunAsync(cluster, TestRuns.AJob(spec => spec.Hyperparameters.ClipNorm = 100))).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        var losses = cluster.Series(MetricNames.TrainLoss);
        losses.Keys.ShouldBe(Enumerable.Range(1, 40).Select(i => (long)i));
        losses[1].ShouldBe(Math.Log(10), 1.0); // before the first update the ten classes are nearly equally likely
        losses[40].ShouldBeLessThan(losses[1] / 2);
        cluster.Series(MetricNames.ValidationAccuracy).Keys.ShouldBe([20L, 40L]);
        cluster.Series(MetricNames.TestAccuracy).Single().Value.ShouldBeGreaterThan(0.8); // chance is 0.1
        foreach (var name in MetricNames.All)
            cluster.Series(name).ShouldNotBeEmpty(name);
        cluster.Series(MetricNames.TrainLearningRate)[1].ShouldBe(0.05);
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        var peaks = cluster.Series(MetricNames.MemoryPeakBytes);
        peaks.Keys.ShouldBe([20L, 40L]);
        const int Pages = 1 << 20; // the kernel counts them in batches a processor: a later reading may be some lower
        peaks[20].ShouldBeInRange(100e6, peaks[40] + Pages); // libtorch alone takes that much
        peaks[40].ShouldBeLessThanOrEqualTo(process.PeakWorkingSet64 + Pages);

        var progress = cluster.Reports.Last(r => r.Report.Progress is not null).Report.Progress;
        (progress.Step, progress.Steps, progress.Epoch, progress.Epochs).ShouldBe((40, 40, 2, 2));
        progress.TestAccuracy.ShouldBe(cluster.Series(MetricNames.TestAccuracy)[40]);
        var environment = cluster.Reports.Single(r => r.Report.Environment is not null).Report.Environment;
        environment.ParameterCount.ShouldBe(61_706);
        environment.WorldSize.ShouldBe(1);
        environment.LibtorchVersion.ShouldNotBeEmpty();
        cluster.Reports.Count(r => r.Report.Started).ShouldBe(1);
    }

    [Theory]
    [InlineData("sgd", 13)] // in mid-epoch
    [InlineData("sgd", 20)] // at an epoch's end
    [InlineData("adam", 26)]
    [InlineData("adamw", 26)]
    [InlineData("rmsprop", 26)]
    [InlineData("lars", 26)]
    public async Task ResumedRun_GivesBitIdenticalLosses(string optimizer, int everySteps)
    {
        using var cluster = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Hyperparameters.Optimizer.Name = optimizer;
            spec.Hyperparameters.Optimizer.LearningRate = optimizer switch { "sgd" => 0.01, "lars" => 1, _ => 0.001 };
            spec.Data.Augmentation.Flip = true;
            spec.Checkpoints = Only(everySteps);
        });
        await TestRuns.RunAsync(cluster, spec);
        var checkpoint = cluster.CheckpointIds[everySteps];

        using var afterCrash = new InMemoryCluster(worldSize: 1, inherited: cluster);
        var outcome = (await TestRuns.RunAsync(afterCrash, spec, resumeFrom: checkpoint)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.TrainAccuracy, MetricNames.ValidationLoss,
            MetricNames.TestLoss])
        {
            var expected = cluster.Series(series).Where(point => point.Key > everySteps || series == MetricNames.TestLoss).ToArray();
            expected.ShouldNotBeEmpty();
            afterCrash.Series(series).ToArray().ShouldBe(expected, series); // equality of doubles: bit for bit
        }
    }

    /// <summary>Batch normalisation's running averages are no parameters, and validation reads them.</summary>
    [Fact]
    public async Task ResumedRunOfANetWithRunningStatistics_ValidatesBitIdentically()
    {
        const int everySteps = 13;
        using var cluster = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AMobileNetJob(spec => spec.Checkpoints.EverySteps = everySteps);
        await TestRuns.RunAsync(cluster, spec);

        using var afterCrash = new InMemoryCluster(worldSize: 1, inherited: cluster);
        var outcome = (await TestRuns.RunAsync(afterCrash, spec, resumeFrom: cluster.CheckpointIds[everySteps])).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        afterCrash.Series(MetricNames.ValidationLoss).ToArray().ShouldBe(cluster.Series(MetricNames.ValidationLoss).ToArray());
        afterCrash.Series(MetricNames.TestLoss).ToArray().ShouldBe(cluster.Series(MetricNames.TestLoss).ToArray());
    }

    /// <summary>Each rank goes on from the statistics of its own slices, and validates by the average of all.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.9)] // and so are the averages of them
    public async Task ResumedRunOfRanksWithStatisticsOfTheirOwn_ValidatesBitIdentically(double averageDecay)
    {
        const int everySteps = 13;
        using var cluster = new InMemoryCluster(worldSize: 2);
        var spec = TestRuns.AMobileNetJob(spec =>
        {
            spec.Hyperparameters.AverageDecay = averageDecay;
            spec.Checkpoints.EverySteps = everySteps;
        });
        await TestRuns.RunAsync(cluster, spec, worldSize: 2);

        using var afterCrash = new InMemoryCluster(worldSize: 2, inherited: cluster);
        var outcomes = await TestRuns.RunAsync(afterCrash, spec, worldSize: 2, resumeFrom: cluster.CheckpointIds[everySteps]);

        outcomes.Select(outcome => outcome.ExitCode).ShouldBe([TrainerExit.Done, TrainerExit.Done]);
        foreach (var series in (string[])[MetricNames.ValidationLoss, MetricNames.TestLoss])
            afterCrash.Series(series).ToArray().ShouldBe(cluster.Series(series).ToArray(), series);
        // Of another number of ranks the average is what all go on from.
        using var alone = new InMemoryCluster(worldSize: 1, inherited: cluster);
        (await TestRuns.RunAsync(alone, spec, resumeFrom: cluster.CheckpointIds[everySteps])).Single().ExitCode.ShouldBe(TrainerExit.Done);
    }

    /// <summary>All that a run carries from step to step: averages, the plateau's count, running statistics, RMSProp's means.</summary>
    [Fact]
    public async Task ResumedRunOfARecipeWithEverything_IsBitIdentical()
    {
        const int everySteps = 50; // in the third of four epochs
        using var cluster = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AMobileNetJob(spec =>
        {
            spec.Hyperparameters.Epochs = 4;
            spec.Hyperparameters.Optimizer = new OptimizerSpec
            {
                Name = "rmsprop",
                LearningRate = 0.01,
                Momentum = 0.9,
                Decay = 0.9,
                Epsilon = 1,
            };
            spec.Hyperparameters.Schedule = new ScheduleSpec { Name = "plateau", Gamma = 0.5, PatienceEpochs = 0, Threshold = 0.9 };
            spec.Hyperparameters.ClipNorm = 1;
            spec.Hyperparameters.AccumulationSteps = 2;
            spec.Hyperparameters.AverageDecay = 0.9;
            spec.Checkpoints = Only(everySteps);
        });
        await TestRuns.RunAsync(cluster, spec);
        cluster.Series(MetricNames.TrainLearningRate)[1].ShouldBe(0.01);
        cluster.Series(MetricNames.TrainLearningRate)[50].ShouldBeLessThan(0.01);

        using var afterCrash = new InMemoryCluster(worldSize: 1, inherited: cluster);
        var outcome = (await TestRuns.RunAsync(afterCrash, spec, resumeFrom: cluster.CheckpointIds[everySteps])).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Done, outcome.Message);
        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.TrainLearningRate, MetricNames.TrainGradientNorm,
            MetricNames.ValidationLoss, MetricNames.TestLoss])
            afterCrash.Series(series).ToArray().ShouldBe(cluster.Series(series).Where(point => point.Key > everySteps).ToArray(), series);
    }

    [Fact]
    public async Task CheckpointOfARunThatAverages_HoldsTheAverageAsTheModelAndTheWeightsBesides()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AMobileNetJob(spec => spec.Hyperparameters.AverageDecay = 0.99);
        await TestRuns.RunAsync(cluster, spec);

        var checkpoint = await CheckpointReader.OpenAsync(
            cluster.Link(0), cluster.CheckpointIds[40], TestContext.Current.CancellationToken);

        var names = checkpoint.TensorNames.ToList();
        names.ShouldContain("current.fc.weight");
        names.Count(name => name.StartsWith("current.", StringComparison.Ordinal))
            .ShouldBe(names.Count(name =>
                !name.StartsWith("current.", StringComparison.Ordinal) && !name.StartsWith("momentum_buffer.", StringComparison.Ordinal)));
        foreach (var name in names.Where(name => name.StartsWith("current.", StringComparison.Ordinal)))
        {
            var current = await checkpoint.ReadTensorAsync(name, TestContext.Current.CancellationToken);
            (await checkpoint.ReadTensorAsync(name["current.".Length..], TestContext.Current.CancellationToken)).ShouldNotBe(current, name);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task StopOfOneRank_StopsAllAfterTheStepWithACheckpointToGoOnFrom(int worldSize)
    {
        var spec = TestRuns.AJob();
        using var undisturbed = new InMemoryCluster(worldSize);
        await TestRuns.RunAsync(undisturbed, spec, worldSize);
        using var cluster = new InMemoryCluster(worldSize);

        var outcomes = await TestRuns.RunAsync(cluster, spec, worldSize, stop: stop => stop.Request("preempted", TimeSpan.FromMinutes(1)));

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Stopped);
        outcomes[^1].Message.ShouldContain("preempted");
        cluster.CheckpointIds.Keys.ShouldBe([1L]);
        using var resumed = new InMemoryCluster(worldSize, inherited: cluster);
        await TestRuns.RunAsync(resumed, spec, worldSize, resumeFrom: cluster.CheckpointIds[1]);
        resumed.Series(MetricNames.TrainLoss).ShouldBe(undisturbed.Series(MetricNames.TrainLoss).Where(point => point.Key > 1));
    }

    [Theory]
    [InlineData(1, "sgd", false)]
    [InlineData(1, "adam", false)]
    [InlineData(2, "sgd", true)]
    public async Task RunInBFloat16_Learns_KeepsFloat32Weights_AndResumesBitIdentically(int worldSize, string optimizer, bool sharded)
    {
        var spec = TestRuns.AJob(spec =>
        {
            spec.Hyperparameters.Precision = Precision.Bfloat16;
            spec.Hyperparameters.Optimizer.Name = optimizer;
            spec.Hyperparameters.Optimizer.LearningRate = optimizer == "adam" ? 0.001 : 0.05;
            spec.Hyperparameters.AverageDecay = 0.9;
            spec.Hyperparameters.ShardOptimizer = sharded;
            spec.Checkpoints.EverySteps = 13;
        });
        using var whole = new InMemoryCluster(worldSize);
        (await TestRuns.RunAsync(whole, spec, worldSize)).ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        using var resumed = new InMemoryCluster(worldSize, whole);

        await TestRuns.RunAsync(resumed, spec, worldSize, resumeFrom: whole.CheckpointIds[13]);

        var losses = whole.Series(MetricNames.TrainLoss);
        losses[40].ShouldBeLessThan(losses[1] / 2);
        whole.Series(MetricNames.TestAccuracy).Single().Value.ShouldBeGreaterThan(0.8); // chance is 0.1
        resumed.Series(MetricNames.TrainLoss).ShouldBe(losses.Where(point => point.Key > 13));
        resumed.Series(MetricNames.TestLoss).ShouldBe(whole.Series(MetricNames.TestLoss));
    }

    [Theory]
    [InlineData(Parallelism.Data)]
    [InlineData(Parallelism.Model)]
    [InlineData(Parallelism.Hybrid)]
    public async Task TwoRanks_GiveTheLossesOfOne_InFloat64(Parallelism parallelism)
    {
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Model.Name = parallelism == Parallelism.Hybrid ? "alexnet_owt" : "alexnet";
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Hyperparameters.Epochs = 3;
            spec.Hyperparameters.MaxSteps = 50;
            spec.Data.ValidationSamples = 41; // the last batch has one sample: a rank goes without
        });
        using var one = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(one, spec);
        spec.Parallelism = parallelism;
        using var two = new InMemoryCluster(worldSize: 2);

        var outcomes = await TestRuns.RunAsync(two, spec, worldSize: 2);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        var expected = one.Series(MetricNames.TrainLoss);
        var actual = two.Series(MetricNames.TrainLoss);
        actual.Count.ShouldBe(50);
        foreach (var (rank, part) in Enumerable.Range(0, 2).SelectMany(rank => MetricNames.StepParts.Select(part => (rank, part))))
            two.Series(MetricNames.OfRank(rank, part), rank).Keys.ShouldBe([25L, 50L]);
        one.Series(MetricNames.OfRank(0, MetricNames.StepForwardSeconds)).ShouldBeEmpty();
        // Sums in another order differ by about 1e-15 relative in a step; training multiplies a difference by a few per cent a step at this
        // rate.
        foreach (var (step, loss) in expected)
            actual[step].ShouldBe(loss, 1e-9 * loss, $"step {step}");
        two.Series(MetricNames.TestAccuracy).ShouldBe(one.Series(MetricNames.TestAccuracy));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)] // each rank by its own slice's statistics: another run
    public async Task TwoRanksOfANetWithBatchNorm_GiveTheLossesOfOne_IfStatisticsAreSynchronised(bool synchronised)
    {
        // The mobile nets' narrow layers multiply a rounding by ten every step; residual ones hold it.
        var spec = TestRuns.AJob(spec =>
        {
            spec.Model.Name = "resnet18";
            spec.Model.Options.Remove("activation");
            spec.Model.Options["channels"] = TestRuns.Whole(1);
            spec.Model.Options["classes"] = TestRuns.Whole(10);
            spec.Model.Options["width"] = new OptionValue { DoubleValue = 0.0625 };
            spec.Data.TrainSamples = 100;
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Hyperparameters.SyncBatchNorm = synchronised;
        });
        using var one = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(one, spec);
        using var two = new InMemoryCluster(worldSize: 2);

        var outcomes = await TestRuns.RunAsync(two, spec, worldSize: 2);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.ValidationLoss, MetricNames.TestLoss])
        {
            var (expected, actual) = (one.Series(series), two.Series(series));
            actual.Keys.ShouldBe(expected.Keys);
            actual.All(point => Math.Abs(point.Value - expected[point.Key]) <= 1e-9 * expected[point.Key]).ShouldBe(synchronised, series);
        }
    }

    [Theory]
    [InlineData(Parallelism.Data)]
    [InlineData(Parallelism.Model)]
    public async Task TwoRanks_ThatClipAccumulateAndAverage_GiveTheFiguresOfOne(Parallelism parallelism)
    {
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Hyperparameters.Epochs = 1;
            spec.Hyperparameters.ClipNorm = 0.5;
            spec.Hyperparameters.AccumulationSteps = 3;
            spec.Hyperparameters.AverageDecay = 0.9;
        });
        using var one = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(one, spec);
        one.Series(MetricNames.TrainGradientNorm).Values.Max().ShouldBeGreaterThan(0.5); // it does clip
        spec.Parallelism = parallelism;
        using var two = new InMemoryCluster(worldSize: 2);

        await TestRuns.RunAsync(two, spec, worldSize: 2);

        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.TrainGradientNorm, MetricNames.ValidationLoss,
            MetricNames.TestLoss])
        {
            one.Series(series).ShouldNotBeEmpty();
            foreach (var (step, value) in one.Series(series))
                two.Series(series)[step].ShouldBe(value, 1e-9 * value, $"{series} of step {step}"); // as above
        }
    }

    [Theory]
    [InlineData("sgd", 2)]
    [InlineData("adam", 3)]
    public async Task ShardedOptimizer_GivesTheBitsOfAnUndividedOneAndResumesFromAndIntoIt(string optimizer, int ranks)
    {
        const int everySteps = 7;
        var spec = TestRuns.AJob(spec =>
        {
            spec.Data.TrainSamples = 200;
            spec.Hyperparameters.Optimizer.Name = optimizer;
            spec.Hyperparameters.Optimizer.LearningRate = optimizer == "adam" ? 0.001 : 0.05;
            spec.Checkpoints.EverySteps = everySteps;
        });
        using var undivided = new InMemoryCluster(ranks);
        await TestRuns.RunAsync(undivided, spec, ranks);
        var sharding = spec.Clone();
        sharding.Hyperparameters.ShardOptimizer = true;
        using var sharded = new InMemoryCluster(ranks);
        using var fromSharded = new InMemoryCluster(ranks, inherited: sharded);
        using var intoSharded = new InMemoryCluster(ranks, inherited: undivided);

        await TestRuns.RunAsync(sharded, sharding, ranks);
        await TestRuns.RunAsync(fromSharded, spec, ranks, resumeFrom: sharded.CheckpointIds[everySteps]);
        await TestRuns.RunAsync(intoSharded, sharding, ranks, resumeFrom: undivided.CheckpointIds[everySteps]);

        var expected = undivided.Series(MetricNames.TrainLoss);
        expected.Count.ShouldBe(20);
        sharded.Series(MetricNames.TrainLoss).ShouldBe(expected);
        sharded.Series(MetricNames.TestLoss).ShouldBe(undivided.Series(MetricNames.TestLoss));
        fromSharded.Series(MetricNames.TrainLoss).ShouldBe(expected.Where(point => point.Key > everySteps));
        intoSharded.Series(MetricNames.TrainLoss).ShouldBe(expected.Where(point => point.Key > everySteps));
    }

    [Theory]
    [InlineData(Parallelism.Model, 2, Parallelism.Data, 1)]
    [InlineData(Parallelism.Model, 2, Parallelism.Data, 2)]
    [InlineData(Parallelism.Data, 1, Parallelism.Model, 2)]
    [InlineData(Parallelism.Data, 1, Parallelism.Hybrid, 2)]
    [InlineData(Parallelism.Hybrid, 2, Parallelism.Data, 1)]
    [InlineData(Parallelism.Hybrid, 2, Parallelism.Model, 2)]
    public async Task CheckpointOfOneSplit_ContinuesInAnother(Parallelism first, int firstRanks, Parallelism then, int thenRanks)
    {
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Hyperparameters.MaxSteps = 25;
            spec.Checkpoints.EverySteps = 13;
            spec.Parallelism = first;
            spec.Model.Name = first == Parallelism.Hybrid || then == Parallelism.Hybrid ? "alexnet_owt" : "alexnet";
        });
        using var before = new InMemoryCluster(firstRanks);
        await TestRuns.RunAsync(before, spec, firstRanks);
        using var after = new InMemoryCluster(thenRanks, inherited: before);
        spec.Parallelism = then;

        await TestRuns.RunAsync(after, spec, thenRanks, resumeFrom: before.CheckpointIds[13]);

        var losses = after.Series(MetricNames.TrainLoss);
        losses.Keys.ShouldBe(Enumerable.Range(14, 12).Select(step => (long)step));
        foreach (var (step, loss) in losses)
            loss.ShouldBe(before.Series(MetricNames.TrainLoss)[step], 1e-9 * loss, $"step {step}"); // as above
    }

    [Fact]
    public async Task CheckpointOfAMesh_ContinuesOnOneDeviceAndBack()
    {
        var spec = TestRuns.AnAlexNetJob(spec =>
        {
            spec.Hyperparameters.Precision = Precision.Float64;
            spec.Hyperparameters.MaxSteps = 10;
            spec.Checkpoints.EverySteps = 5;
        });
        var meshed = spec.Clone();
        meshed.Parallelism = Parallelism.Model;
        meshed.Mesh = new MeshSpec { Data = 2, Model = 2 };
        using var one = new InMemoryCluster(worldSize: 1);
        using var four = new InMemoryCluster(worldSize: 4);
        using var oneOfFour = new InMemoryCluster(worldSize: 1, inherited: four);
        using var fourOfOne = new InMemoryCluster(worldSize: 4, inherited: one);

        await TestRuns.RunAsync(one, spec);
        await TestRuns.RunAsync(four, meshed, worldSize: 4);
        await TestRuns.RunAsync(oneOfFour, spec, resumeFrom: four.CheckpointIds[5]);
        await TestRuns.RunAsync(fourOfOne, meshed, worldSize: 4, resumeFrom: one.CheckpointIds[5]);

        var expected = one.Series(MetricNames.TrainLoss);
        four.Series(MetricNames.TrainLoss).Keys.ShouldBe(expected.Keys);
        foreach (var run in (InMemoryCluster[])[four, oneOfFour, fourOfOne])
        {
            run.Series(MetricNames.TrainLoss).Count.ShouldBeGreaterThanOrEqualTo(5);
            foreach (var (step, loss) in run.Series(MetricNames.TrainLoss))
                loss.ShouldBe(expected[step], 1e-9 * loss, $"step {step}"); // as above
        }
    }

    /// <summary>Both stages have running statistics, which only their own ranks can write.</summary>
    [Theory]
    [InlineData(1, 2, Precision.Float32, 1e-12)] // one pipeline rounds as one device does
    // synchronised statistics; a mobile net's narrow layers multiply a rounding by ten every step
    [InlineData(2, 2, Precision.Float64, 1e-6)]
    public async Task CheckpointOfAPipeline_ContinuesOnOneDeviceAndBack(int data, int stages, Precision precision, double tolerance)
    {
        var spec = TestRuns.AMobileNetJob(spec =>
        {
            spec.Hyperparameters.Precision = precision;
            spec.Hyperparameters.MemoryFormat = MemoryFormats.Contiguous; // as a pipeline's is
            spec.Hyperparameters.MaxSteps = 6;
            spec.Hyperparameters.AverageDecay = 0.9;
            spec.Data.TrainSamples = 100;
            spec.Checkpoints.EverySteps = 3;
        });
        var piped = spec.Clone();
        piped.Parallelism = Parallelism.Pipeline;
        piped.Mesh = new MeshSpec { Data = data, Model = 1, Pipeline = stages };
        piped.Hyperparameters.SyncBatchNorm = true;
        piped.Hyperparameters.MicroBatches = 1; // one device then has the same statistics
        using var one = new InMemoryCluster(worldSize: 1);
        using var several = new InMemoryCluster(data * stages);
        using var oneOfSeveral = new InMemoryCluster(worldSize: 1, inherited: several);
        using var severalOfOne = new InMemoryCluster(data * stages, inherited: one);

        await TestRuns.RunAsync(one, spec);
        await TestRuns.RunAsync(several, piped, worldSize: data * stages);
        await TestRuns.RunAsync(oneOfSeveral, spec, resumeFrom: several.CheckpointIds[3]);
        await TestRuns.RunAsync(severalOfOne, piped, worldSize: data * stages, resumeFrom: one.CheckpointIds[3]);

        foreach (var series in (string[])[MetricNames.TrainLoss, MetricNames.ValidationLoss, MetricNames.TestLoss])
        {
            var expected = one.Series(series);
            foreach (var run in (InMemoryCluster[])[several, oneOfSeveral, severalOfOne])
            {
                run.Series(series).ShouldNotBeEmpty();
                foreach (var (step, loss) in run.Series(series))
                    loss.ShouldBe(expected[step], tolerance * loss, $"{series} of step {step}");
            }
        }
    }

    [Fact]
    public async Task Pipeline_BeginsWithWeightsOfWhichEachStageTakesItsOwn()
    {
        var spec = TestRuns.AMobileNetJob(spec =>
        {
            spec.Hyperparameters.MaxSteps = 2;
            spec.Hyperparameters.MemoryFormat = MemoryFormats.Contiguous; // as a pipeline's is
        });
        using var trained = new InMemoryCluster(worldSize: 1);
        await TestRuns.RunAsync(trained, spec);
        spec.InitFrom = new InitFrom { Checkpoint = trained.CheckpointIds[2] };
        using var one = new InMemoryCluster(worldSize: 1, inherited: trained);
        using var two = new InMemoryCluster(worldSize: 2, inherited: trained);
        var piped = spec.Clone();
        (piped.Parallelism, piped.Hyperparameters.MicroBatches) = (Parallelism.Pipeline, 1);

        await TestRuns.RunAsync(one, spec);
        var outcomes = await TestRuns.RunAsync(two, piped, worldSize: 2);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Done);
        two.Series(MetricNames.TrainLoss).ShouldBe(one.Series(MetricNames.TrainLoss));
        one.Series(MetricNames.TrainLoss)[1].ShouldNotBe(trained.Series(MetricNames.TrainLoss)[1]);
    }

    [Fact]
    public async Task PipelineOfANetThatBranches_IsRefusedWithTheReason()
    {
        using var cluster = new InMemoryCluster(worldSize: 2);
        var spec = TestRuns.AJob(spec =>
        {
            (spec.Parallelism, spec.Hyperparameters.MicroBatches) = (Parallelism.Pipeline, 1);
            spec.Model = new ModelSpec
            {
                Name = "googlenet",
                Options = { ["inputSize"] = TestRuns.Whole(28), ["channels"] = TestRuns.Whole(1), ["classes"] = TestRuns.Whole(10) },
            };
        });

        var outcomes = await TestRuns.RunAsync(cluster, spec, worldSize: 2);

        outcomes.ShouldAllBe(outcome => outcome.ExitCode == TrainerExit.Misconfigured
            && outcome.Message.Contains("model.name is googlenet, which is no sequence of units"));
    }

    [Fact]
    public async Task Divergence_EndsTheJobNamingStepAndRemedy()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);

        var outcome = (await TestRuns.RunAsync(cluster, TestRuns.AJob(spec => spec.Hyperparameters.Optimizer.LearningRate = 1e10)))
            .Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured);
        outcome.Message.ShouldMatch("the loss is (NaN|∞|Infinity) at step [2-9]: .*lower hyperparameters.optimizer.learningRate");
    }

    /// <summary>The squares of activations of 1e30 leave float32, the loss does not.</summary>
    [Fact]
    public async Task RunningVarianceThatIsNotFinite_IsNotKept()
    {
        using var cluster = new InMemoryCluster(worldSize: 1);
        var spec = TestRuns.AMobileNetJob(spec => spec.Data.Normalization = new Normalization { Mean = "0", Deviation = "1e-25" });

        var outcome = (await TestRuns.RunAsync(cluster, spec)).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured, outcome.Message);
        outcome.Message.ShouldContain("running_var holds values that are not finite after step ");
        cluster.CheckpointIds.ShouldBeEmpty();
    }

    /// <summary>
    /// None is due shortly before, which a busy machine might still be storing: then the one that a test goes on from would be skipped.
    /// </summary>
    private static CheckpointPolicy Only(int everySteps) => new() { EverySteps = everySteps };

    public static TheoryData<string, Action<JobSpec>> Misconfigured => new()
    {
        { "model.name is resnet", spec => spec.Model.Name = "resnet" },
        { "model.options.depth is not an option of lenet5", spec => spec.Model.Options["depth"] = TestRuns.Whole(5) },
        { "model.options.channels is 3 but synthetic has 1", spec => spec.Model.Options["channels"] = TestRuns.Whole(3) },
        { "model.options.classes is 4 but synthetic has 10", spec => spec.Model.Options["classes"] = TestRuns.Whole(4) },
        { "hyperparameters.globalBatchSize is 401", spec => spec.Hyperparameters.GlobalBatchSize = 401 },
        { "hyperparameters.optimizer.name is lion", spec => spec.Hyperparameters.Optimizer.Name = "lion" },
        { "hyperparameters.schedule.name is linear", spec => spec.Hyperparameters.Schedule.Name = "linear" },
        { "hyperparameters.schedule.warmupEpochs is 2", spec => spec.Hyperparameters.Schedule.WarmupEpochs = 2 },
        { "data.validationSamples is 6000", spec => spec.Data.ValidationSamples = 6000 },
        { "model.name is lenet5, which has no split by model", spec => spec.Parallelism = Parallelism.Model },
    };

    [Theory]
    [MemberData(nameof(Misconfigured))]
    public async Task JobsMistake_EndsAsMisconfiguredNamingTheField(string says, Action<JobSpec> mistake)
    {
        using var cluster = new InMemoryCluster(worldSize: 1);

        var outcome = (await TestRuns.RunAsync(cluster, TestRuns.AJob(mistake))).Single();

        outcome.ExitCode.ShouldBe(TrainerExit.Misconfigured);
        outcome.Message.ShouldContain(says);
    }
}
