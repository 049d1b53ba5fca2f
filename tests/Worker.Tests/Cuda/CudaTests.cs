using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Models.Layers;
using Cluster.Worker.Agent;
using Cluster.Worker.Collectives;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Devices;
using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using Cluster.Worker.Tests.Parallel;
using Cluster.Worker.Tests.Training;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;
using static TorchSharp.torch;
using Device = Cluster.Contracts.V1.Device;

namespace Cluster.Worker.Tests.Cuda;

/// <summary>On the first GPU of a machine that has one, with the real CUDA and NCCL. Elsewhere all are skipped.</summary>
/// <remarks>
/// Ranks are threads here, and one thread of libtorch runs the backward passes of all that share a GPU: what exchanges within backward
/// (parts of a network) needs processes, as <c>bench train --device cuda</c> starts them, which holds their gradients to PyTorch's.
/// </remarks>
[Trait("Device", "cuda")]
public sealed class CudaTests
{
    public CudaTests() => Assert.SkipUnless(cuda.is_available(), "no CUDA device");

    /// <summary>
    /// Convolutions in groups, response and batch normalisation, shortcuts, separable convolutions, dropout: its mask is the same wherever
    /// it is made.
    /// </summary>
    [Theory]
    [InlineData("lenet5")]
    [InlineData("alexnet")]
    [InlineData("vgg11_bn")]
    [InlineData("resnet18")]
    [InlineData("mobilenet_v2")]
    public void Training_InFloat64_IsTheCpus(string network)
    {
        using var scope = NewDisposeScope();
        using var onCpu = Trainings.Single(network, ScalarType.Float64);
        using var onGpu = new SingleDevice(Trainings.Network(network, ScalarType.Float64).to(CUDA), Trainings.CrossEntropy);

        var losses = Trainings.Train(onGpu, ScalarType.Float64, steps: 3, change: ToGpu);

        // Rounding of 1e-16 through some tens of layers, three times.
        losses.ShouldBe(Trainings.Train(onCpu, ScalarType.Float64, steps: 3), 1e-9);
        ShouldBeNear(onGpu, onCpu, 1e-8);
    }

    [Fact]
    public void DropoutMask_IsTheCpusToTheBit()
    {
        using var scope = NewDisposeScope();
        using var dropout = new CounterDropout(
            "fc", 0.3, 4096, firstUnit: 100, new Models.StepPosition(5) { Step = 9, FirstSample = 1L << 40 });

        var onGpu = dropout.call(ones(64, 3000, device: CUDA));

        onGpu.cpu().ne(dropout.call(ones(64, 3000))).sum().item<long>().ShouldBe(0);
    }

    [Fact]
    public void Batches_LieInPageLockedMemoryAndArriveWhole()
    {
        using var scope = NewDisposeScope();
        using var memory = HostMemory.Rent(ScalarType.Float32, 64);
        memory.is_pinned().ShouldBeTrue();
        using var batch = new HostBatch(samples: 2, globalSize: 2, views: 1, 3 * 8 * 8);
        for (var i = 0; i < batch.Images.Length; i++)
            batch.Images[i] = i;
        batch.Labels[1] = 7;

        var (images, labels) = batch.ToTensors(3, 8, ScalarType.BFloat16, CUDA, channelsLast: true);

        (images.device_type, images.dtype, images.stride()[1]).ShouldBe((DeviceType.CUDA, ScalarType.BFloat16, 1));
        images.cpu().to(ScalarType.Float32).contiguous().data<float>().ToArray()
            .ShouldBe(tensor(batch.Images.ToArray()).bfloat16().@float().data<float>().ToArray());
        labels.cpu().data<long>()[1].ShouldBe(7);
    }

    /// <summary>Of every level, whether it was sent ahead or not.</summary>
    [Fact]
    public void Levels_NormalisedOnTheGpu_AreTheCpusBits()
    {
        using var scope = NewDisposeScope();
        using var feed = new DeviceFeed(new CudaDevice(new CudaDriver(new CollectiveOptions().CudaLibrary), ordinal: 0), CUDA);
        var normalization = new ChannelNormalization([0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]);
        using var batch = new HostBatch(samples: 1, globalSize: 1, views: 1, 3 * 16 * 16, normalization);
        for (var i = 0; i < batch.Levels.Length; i++)
            batch.Levels[i] = (byte)i;
        batch.SetShift(0, [0, 0, 0]);
        feed.Begin(batch);
        foreach (var from in (DeviceFeed?[])[feed, null])
        {
            var (images, _) = batch.ToTensors(3, 16, ScalarType.Float32, CUDA, feed: from);
            images.cpu().data<float>().ToArray().ShouldBe(Enumerable.Range(0, 3 * 256).Select(i => normalization.Apply(i / 256, (byte)i)));
        }
    }

    [Fact]
    public void BatchesSentAhead_ArriveWholeWhileTheGpuComputes()
    {
        using var scope = NewDisposeScope();
        using var feed = new DeviceFeed(new CudaDevice(new CudaDriver(new CollectiveOptions().CudaLibrary), ordinal: 0), CUDA);
        HostBatch[] batches = [.. Enumerable.Range(0, 20).Select(_ => new HostBatch(samples: 16, globalSize: 16, views: 1, 3 * 224 * 224))];
        foreach (var (i, batch) in batches.Index())
            batch.Images.Fill(i);
        var busy = randn(2048, 2048, device: CUDA);
        feed.Begin(batches[0]);
        for (var i = 0; i < batches.Length; i++)
        {
            var (images, _) = batches[i].ToTensors(3, 224, ScalarType.Float32, CUDA, feed: feed);
            if (i + 1 < batches.Length)
                feed.Begin(batches[i + 1]);
            busy = busy.matmul(busy).div_(busy.norm());
            images.ne(tensor((float)i, device: CUDA)).sum().item<long>().ShouldBe(0, $"batch {i}");
        }

        foreach (var batch in batches)
            batch.Dispose();
    }

    [Theory]
    [InlineData("sgd")]
    [InlineData("adamw")]
    [InlineData("lars")]
    public void Optimizers_StepAsOnTheCpu(string name)
    {
        var hyperparameters = TestRuns.AJob().Hyperparameters;
        hyperparameters.Optimizer.Name = name;
        using var ranks = new Ranks("a");
        ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var onCpu = Trainings.Single("resnet18", ScalarType.Float64);
            using var onGpu = new SingleDevice(Trainings.Network("resnet18", ScalarType.Float64).to(CUDA), Trainings.CrossEntropy);
            foreach (var partition in (ITrainingPartition[])[onCpu, onGpu])
            {
                using var optimizer = OptimizerFactory.Create(hyperparameters.Optimizer, partition);
                (optimizer is FlatOptimizer).ShouldBe(partition == onGpu && name != "lars");
                var update = new ParameterUpdate(hyperparameters, partition, optimizer, average: null, group);
                for (var step = 0; step < 3; step++)
                {
                    var batch = Trainings.Batch(partition, ScalarType.Float64, step);
                    var share = partition.ForwardBackward(partition == onGpu ? ToGpu(batch) : batch);
                    update.Apply(share, Trainings.BatchSize, 0.01, step).GradientNorm.ShouldBeGreaterThan(0);
                }
            }

            // Adam divides by the root of gradients that are nearly 0 and differ in their last bits.
            ShouldBeNear(onGpu, onCpu, 1e-6);
        });
    }

    /// <summary>Through the loader, the schedule, checkpoints and validation; then on from a checkpoint, and evaluated.</summary>
    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.Tf32)]
    [InlineData(Precision.Bfloat16)]
    public async Task AJob_Learns_GoesOnFromItsCheckpoint_AndIsEvaluated(Precision precision)
    {
        var spec = TestRuns.AJob(spec =>
        {
            spec.Hyperparameters.Precision = precision;
            spec.Hyperparameters.AverageDecay = 0.9;
            spec.Checkpoints.EverySteps = 13;
        });
        using var whole = new InMemoryCluster(worldSize: 1);
        (await TestRuns.RunAsync(whole, spec, deviceKind: "cuda")).Single().ExitCode.ShouldBe(TrainerExit.Done);
        backends.cuda.matmul.allow_tf32.ShouldBe(precision == Precision.Tf32);
        var losses = whole.Series(MetricNames.TrainLoss);
        losses[40].ShouldBeLessThan(losses[1] / 2);

        using var resumed = new InMemoryCluster(worldSize: 1, inherited: whole);
        (await TestRuns.RunAsync(resumed, spec, resumeFrom: whole.CheckpointIds[13], deviceKind: "cuda")).Single()
            .ExitCode.ShouldBe(TrainerExit.Done);
        // cuDNN adds up gradients in an order of its own each time, and 27 steps carry that on.
        resumed.Series(MetricNames.TrainLoss)[14].ShouldBe(losses[14], 0.02);
        resumed.Series(MetricNames.TrainLoss)[40].ShouldBe(losses[40], 0.2);

        using var evaluated = new InMemoryCluster(worldSize: 1, inherited: whole);
        var evaluation = spec.Clone();
        evaluation.Task = new TaskSpec { Name = JobTasks.Evaluate };
        evaluation.InitFrom = new InitFrom { Checkpoint = whole.CheckpointIds[40] };
        (await TestRuns.RunAsync(evaluated, evaluation, deviceKind: "cuda")).Single().ExitCode.ShouldBe(TrainerExit.Done);
        evaluated.Series(MetricNames.TestAccuracy)[1].ShouldBe(whole.Series(MetricNames.TestAccuracy)[40], 0.01);
    }

    /// <summary>cuBLAS reads its setting when it loads, which an agent sees to: here whoever starts the tests.</summary>
    [Fact]
    public async Task ADeterministicJob_GoesOnFromItsCheckpointToTheBit()
    {
        var workspace = Environment.GetEnvironmentVariable("CUBLAS_WORKSPACE_CONFIG");
        Assert.SkipUnless(workspace == ":4096:8", "CUBLAS_WORKSPACE_CONFIG is not :4096:8");
        try
        {
            var spec = TestRuns.AJob(spec =>
            {
                spec.Hyperparameters.Deterministic = true;
                spec.Checkpoints.EverySteps = 13;
            });
            using var whole = new InMemoryCluster(worldSize: 1);
            (await TestRuns.RunAsync(whole, spec, deviceKind: "cuda")).Single().ExitCode.ShouldBe(TrainerExit.Done);

            using var resumed = new InMemoryCluster(worldSize: 1, inherited: whole);
            var end = (await TestRuns.RunAsync(resumed, spec, resumeFrom: whole.CheckpointIds[13], deviceKind: "cuda")).Single();
            end.ExitCode.ShouldBe(TrainerExit.Done);

            var (losses, others) = (whole.Series(MetricNames.TrainLoss), resumed.Series(MetricNames.TrainLoss));
            Enumerable.Range(14, 27).Select(step => others[step]).ShouldBe(Enumerable.Range(14, 27).Select(step => losses[step]));
        }
        finally
        {
            GpuKernels.BeDeterministic(isWanted: false); // other tests share this process
        }
    }

    /// <summary>Statistics, gradients and stages' messages by NCCL between two cards, against the CPU's ranks.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TwoCards_WithSynchronisedStatistics_TrainAsTwoCpus(bool inPipeline)
    {
        Assert.SkipUnless(cuda.device_count() >= 2, "one CUDA device only");
        double[] Train(Ranks ranks, Func<int, TorchSharp.torch.Device> deviceOf) => ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            var device = deviceOf(group.Rank);
            ImageClassifier Build() => Trainings.Network("resnet18", ScalarType.Float64).to(device);
            using ITrainingPartition partition = inPipeline
                ? PipelineParallel.CreateAsync(
                    Build, Trainings.CrossEntropy, group,
                    new PipelineSetup(2, 2, MicroBatchSamples: 1, SyncBatchNorm: true, new GradientOptions()),
                    NullLogger.Instance, TestContext.Current.CancellationToken).GetAwaiter().GetResult()
                : DataParallel.CreateAsync(
                    Build(), Trainings.CrossEntropy, group, new GradientOptions(), syncBatchNorm: true,
                    TestContext.Current.CancellationToken)
                    .GetAwaiter().GetResult();
            TrainingBatch ToDevice(TrainingBatch batch) =>
                batch with { Images = batch.Images.to(device), Labels = batch.Labels.to(device) };
            return Trainings.Train(partition, ScalarType.Float64, steps: 3, change: ToDevice, group: group);
        })[0];

        using var cpus = new Ranks("aa");
        using var cards = new Ranks("aa") { CudaDevice = rank => rank };
        // Rounding of 1e-16 through some tens of layers, three times.
        Train(cards, rank => new TorchSharp.torch.Device($"cuda:{rank}")).ShouldBe(Train(cpus, _ => CPU), 1e-9);
    }

    [Fact]
    public void NcclOfOneRank_SumsGathersAndHandsOn()
    {
        using var ranks = OnTheFirstGpu("a");
        ranks.Run(group =>
        {
            group.Transport.ShouldBe("nccl+single");
            EachExchange(group);
        });
    }

    [Theory]
    [InlineData("aa", "staged+shared-memory")]
    [InlineData("ab", "staged+tcp")]
    public void RanksOnOneCard_ExchangeThroughTheCpusMemory(string placement, string transport)
    {
        using var ranks = OnTheFirstGpu(placement);
        ranks.Run(group =>
        {
            group.Transport.ShouldBe(transport);
            EachExchange(group);
        });
    }

    /// <summary>Gradients are summed in buckets on the GPU while backward goes on.</summary>
    [Theory]
    [InlineData("a", "alexnet")]
    [InlineData("a", "resnet18")]
    [InlineData("aa", "alexnet")]
    public void DataParallel_IsOneDevice(string placement, string network)
    {
        using var single = Trainings.Single(network, ScalarType.Float64);
        var expected = Trainings.Train(single, ScalarType.Float64, steps: 3);
        using var ranks = OnTheFirstGpu(placement);
        ranks.Run(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = DataParallel.CreateAsync(
                Trainings.Network(network, ScalarType.Float64).to(CUDA), Trainings.CrossEntropy, group,
                new GradientOptions { BucketBytes = 64 << 10 }, syncBatchNorm: group.WorldSize == 1,
                TestContext.Current.CancellationToken).GetAwaiter().GetResult();
            Trainings.Train(partition, ScalarType.Float64, steps: 3, change: ToGpu, group: group).ShouldBe(expected, 1e-9);
            partition.SentDuringBackward.ShouldBeGreaterThan(0);
            ShouldBeNear(partition, single, 1e-8);
        });
    }

    [Fact]
    public void Node_OffersItsGpuAndSaysHowBusyItIs()
    {
        var nvml = Nvml.TryOpen(out var reason).ShouldNotBeNull();
        reason.ShouldBeEmpty();
        nvml.DriverVersion().ShouldNotBeEmpty();

        IReadOnlyList<OfferedGpu> offered = [.. nvml.Gpus().Select((gpu, number) => new OfferedGpu($"cuda:{number}", gpu))];
        using var gpus = new NodeGpus(
            nvml, offered, Worker.Libc.ThreadCores(), new HostTopology(), TimeProvider.System, NullLogger.Instance);
        var devices = DeviceDiscovery.Find(new Worker.Agent.AgentOptions(), offered, 8, new MachineMemory());

        devices.Select(device => (device.Id, device.Kind)).ShouldContain(("cuda:0", DeviceKind.Cuda));
        devices.ShouldAllBe(device => device.Kind == DeviceKind.Cuda && device.MemoryBytes > 1L << 30 && device.Model.Length > 0);
        SpinWait.SpinUntil(() => offered.All(gpu => gpus.Measure(gpu.Id).Gpu.HasUsedMemoryBytes), TimeSpan.FromMinutes(1))
            .ShouldBeTrue();
        new DeviceMonitor(devices, gpus, TimeProvider.System).Measure(_ => null)
            .ShouldAllBe(device => device.Utilization >= 0 && device.Utilization <= 1);
        foreach (var gpu in offered)
        {
            var reading = nvml.Read(gpu.Gpu);
            reading.UsedMemoryBytes.ShouldNotBeNull().ShouldBeInRange(0, gpu.Gpu.MemoryBytes);
            (reading.TemperatureCelsius is null or (> 0 and < 120)).ShouldBeTrue();
            gpu.Gpu.Uuid.ShouldStartWith(gpu.Gpu.IsInstance ? "MIG-" : "GPU-");
            gpus.CoresOf(gpu.Id).ShouldNotBeEmpty();
        }
    }

    private static Ranks OnTheFirstGpu(string placement) => new(placement) { CudaDevice = _ => 0 };

    private static TrainingBatch ToGpu(TrainingBatch batch) => batch with { Images = batch.Images.cuda(), Labels = batch.Labels.cuda() };

    private static void ShouldBeNear(ITrainingPartition actual, ITrainingPartition expected, double relative)
    {
        foreach (var (parameter, other) in actual.Parameters.Zip(expected.Parameters))
        {
            var (values, others) = (Trainings.Values(parameter.Tensor), Trainings.Values(other.Tensor));
            var difference = Math.Sqrt(values.Zip(others, (a, b) => (a - b) * (a - b)).Sum());
            // The bias before a batch normalisation has no gradient but what rounding leaves of it.
            difference.ShouldBeLessThanOrEqualTo(1e-12 + (relative * Math.Sqrt(others.Sum(value => value * value))), parameter.Name);
        }
    }

    private static void EachExchange(ICollectiveGroup group)
    {
        Reduce<float>(group, ScalarType.Float32);
        Reduce<double>(group, ScalarType.Float64);
        Reduce<BFloat16>(group, ScalarType.BFloat16);
        Reduce<Half>(group, ScalarType.Float16);
        Reduce<long>(group, ScalarType.Int64);

        using var scope = NewDisposeScope();
        var world = group.WorldSize;
        var mine = full(3, group.Rank + 1, dtype: ScalarType.Float32, device: CUDA);
        var all = zeros(3 * world, dtype: ScalarType.Float32, device: CUDA);
        group.AllGather<float>(TensorMemory.Values<float>(mine), TensorMemory.Values<float>(all), "gather");
        Trainings.Values(all).ShouldBe(Enumerable.Range(0, 3 * world).Select(i => (i / 3) + 1.0));
        group.ReduceScatter<float>(TensorMemory.Values<float>(all), TensorMemory.Values<float>(mine), "scatter");
        Trainings.Values(mine).ShouldAllBe(value => value == world * (group.Rank + 1));
        group.Broadcast(TensorMemory.Values<float>(mine), root: 0, "broadcast");
        Trainings.Values(mine).ShouldAllBe(value => value == world);
        if (world > 1)
        {
            Task.WaitAll(
                group.SendAsync<float>(TensorMemory.AddressOf(mine), 3, 1 - group.Rank, "message"),
                group.ReceiveAsync<float>(TensorMemory.AddressOf(all), 3, 1 - group.Rank, "message"));
            Trainings.Values(all)[..3].ShouldAllBe(value => value == world);
        }

        Span<double> host = [group.Rank];
        group.AllReduce(host, "host");
        host[0].ShouldBe(world * (world - 1) / 2.0);
        group.Barrier("barrier");
    }

    /// <summary>Whole numbers that every type holds exactly, of which the GPU still computes when they are handed over.</summary>
    private static void Reduce<T>(ICollectiveGroup group, ScalarType type)
        where T : unmanaged
    {
        foreach (var (op, expected) in (IEnumerable<(ReduceOp, Func<int, double>)>)[
            (ReduceOp.Sum, i => Enumerable.Range(0, group.WorldSize).Sum(rank => 2.0 * (rank + i))),
            (ReduceOp.Mean, i => Enumerable.Range(0, group.WorldSize).Average(rank => 2.0 * (rank + i))),
            (ReduceOp.Min, i => 2.0 * i), (ReduceOp.Max, i => 2.0 * (group.WorldSize - 1 + i))])
        {
            using var scope = NewDisposeScope();
            using Scalar two = 2;
            var values = arange(group.Rank, group.Rank + 37, dtype: ScalarType.Float64, device: CUDA).mul(two).to(type);
            group.AllReduceAsync<T>(TensorMemory.AddressOf(values), 37, "sum", op).GetAwaiter().GetResult();
            Trainings.Values(values).Index().ShouldAllBe(
                value => type == ScalarType.Int64 ? value.Item == Math.Floor(expected(value.Index)) : value.Item == expected(value.Index),
                $"{op} of {type}");
        }
    }
}
