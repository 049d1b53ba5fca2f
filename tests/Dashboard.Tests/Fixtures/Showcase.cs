using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A cluster at work, made up so that every page has something to show; until it is disposed of.</summary>
internal sealed class Showcase : IDisposable
{
    private const int Steps = 400;

    private readonly FakeScheduler _scheduler;
    private readonly DateTimeOffset _now = DateTimeOffset.UtcNow;
    private readonly List<string> _jobs = [];

    public Showcase(FakeScheduler scheduler)
    {
        _scheduler = scheduler;
        Running = AddRunning();
        Compared = [AddFinished("lenet5-adam", "adam", 0.002, 0.05), AddFinished("lenet5-sgd", "sgd", 0.05, 0.3)];
        AddWaiting();
        AddFailed();
        Search = AddSearch(trials: 20);
        AddNodes();
        AddQueues();
        _scheduler.DeviceHours = Hours();
    }

    /// <summary>A job of four ranks that trains.</summary>
    public Job Running { get; }

    /// <summary>Two that are over.</summary>
    public IReadOnlyList<Job> Compared { get; }

    public Experiment Search { get; }

    public void Dispose()
    {
        foreach (var job in _jobs)
            _scheduler.Jobs.TryRemove(job, out _);
        _scheduler.Experiments.TryRemove(Search.Id, out _);
        _scheduler.Nodes.Clear();
        _scheduler.Queues.Clear();
        _scheduler.DeviceHours = new GetDeviceHoursResponse();
        _scheduler.Tell();
    }

    private Job Add(string name, JobState state, Action<Job> change)
    {
        var job = Some.Job(name, state, change: job =>
        {
            job.CreatedAt = At(-120 - _jobs.Count);
            if (job.StartedAt is not null)
                job.StartedAt = At(-100);
            if (job.FinishedAt is not null)
                job.FinishedAt = At(-_jobs.Count % 60);
            change(job);
        });
        _jobs.Add(job.Id);
        return _scheduler.Put(job);
    }

    private Timestamp At(double minutes) => _now.AddMinutes(minutes).ToTimestamp();

    private Job AddRunning()
    {
        var job = Add("resnet50-photos", JobState.Running, job =>
        {
            job.Spec = JobFile.ParseMarked("""
                name: resnet50-photos
                model: resnet50
                data: {name: image-folder, folder: imagenet, classes: 1000}
                hyperparameters: {epochs: 90, globalBatchSize: 1024, optimizer: {name: sgd, learningRate: 0.4, momentum: 0.9}}
                resources: {devices: 4, deviceKind: cuda}
                """);
            (job.QueueName, job.Owner) = ("vision", "alice");
            job.Progress = new Progress
            {
                Epoch = 31,
                Epochs = 90,
                Step = 38_800,
                Steps = 112_590,
                TrainLoss = 1.62,
                TrainAccuracy = 0.63,
                ValidationAccuracy = 0.671,
                SamplesPerSecond = 5_120,
            };
            job.Placement.Clear();
        });
        var node = Some.GpuNode("gpu-1", gpus: 4, job.Id);
        _scheduler.Nodes[node.Id] = node;
        job.Placement.Add(Enumerable.Range(0, 4).Select(
            rank => new DevicePlacement { Rank = rank, NodeId = node.Id, NodeName = node.Name, Device = $"cuda:{rank}" }));
        double[] parts = [0.008, 0.061, 0.104, 0.023, 0.004];
        _scheduler.Points[job.Id] =
        [
            .. Curves(fall: 90, floor: 1.5),
            .. MetricNames.StepParts.Zip(parts).SelectMany(part => Enumerable.Range(1, Steps)
                .Select(step => Some.Point(part.First, step, part.Second * (1 + (0.2 * Math.Sin((step * 0.07) + (100 * part.Second))))))),
            .. Enumerable.Range(0, 4).SelectMany(rank => MetricNames.StepParts.Zip(parts).Select(part => Some.Point(
                MetricNames.OfRank(rank, part.First), Steps, part.Second * (rank == 2 && part.Second == parts[0] ? 5 : 1)))),
            .. Enumerable.Range(1, 8).Select(epoch => Some.Point(MetricNames.MemoryPeakBytes, epoch * 50, (88e9 + (epoch * 1e8)))),
        ];
        _scheduler.PutLines(
            job.Id, "epoch 30: loss 1.641, validation accuracy 66.9 %, 248 s", "warning: picture 11,204 could not be read, passed over",
            "checkpoint at step 38,750: 98 MiB in 1.2 s", "epoch 31: loss 1.622, validation accuracy 67.1 %, 247 s");
        _scheduler.Checkpoints[job.Id] = [new Checkpoint { Id = $"{Guid.NewGuid():D}", Step = 38_750, Epoch = 31, Bytes = 98 << 20 }];
        return job;
    }

    private Job AddFinished(string name, string optimizer, double rate, double above)
    {
        var job = Add(name, JobState.Succeeded, job =>
        {
            job.Spec.Hyperparameters.Optimizer.Name = optimizer;
            job.Spec.Hyperparameters.Optimizer.LearningRate = rate;
            job.Progress = new Progress
            {
                Epoch = 4,
                Epochs = 4,
                Step = Steps,
                Steps = Steps,
                TrainLoss = 0.3 + above,
                TrainAccuracy = 0.93 - above,
                ValidationLoss = 0.4 + above,
                ValidationAccuracy = 0.9 - above,
                TestAccuracy = 0.89 - above,
                SamplesPerSecond = 8_400,
            };
        });
        _scheduler.Points[job.Id] = [.. Curves(fall: 60, floor: 0.3 + above)];
        return job;
    }

    private static IEnumerable<MetricPoint> Curves(double fall, double floor)
    {
        foreach (var step in Enumerable.Range(1, Steps))
        {
            var (left, noise) = (Math.Exp(-step / fall), 0.04 * Math.Sin(step * 12.9898));
            yield return Some.Point(MetricNames.TrainLoss, step, floor + left + noise);
            yield return Some.Point(MetricNames.TrainAccuracy, step, 0.9 - (0.8 * left) - noise);
            if (step % 20 != 0)
                continue;
            yield return Some.Point(MetricNames.ValidationLoss, step, floor + 0.1 + left);
            yield return Some.Point(MetricNames.ValidationAccuracy, step, 0.87 - (0.8 * left));
        }
    }

    private void AddWaiting()
    {
        (string Name, string Owner, string Queue, int Devices, string Code, string Reason)[] waiting =
        [
            ("vgg16-sweep", "bob", "vision", 4, "waiting_for_quota",
                "needs 4 cuda devices, but queue 'vision' has 4 of the 4 that it may have"),
            ("inception_v3-long", "carol", "product", 4, "waiting_for_release",
                "waits until jobs have released the 3 devices that it is promised"),
            ("mobilenet_v2-small", "carol", "product", 1, "waiting_for_turn", "1 device is free, but kept for a job before it"),
            ("too-large", "dave", "default", 64, "infeasible", "devices is 64 but the cluster has 8 of that kind; lower devices"),
        ];
        foreach (var (item, index) in waiting.Select((item, index) => (item, index)))
            Add(item.Name, JobState.Queued, job =>
            {
                (job.Owner, job.QueueName, job.ReasonCode, job.Reason) = (item.Owner, item.Queue, item.Code, item.Reason);
                job.Spec.Resources.Devices = item.Devices;
                job.Queue = new QueueStanding { Position = 1 + (index % 2), EstimatedStart = index < 3 ? At(12 + (9 * index)) : null };
            });
    }

    private void AddFailed() => Add("alexnet-too-fast", JobState.Failed, job =>
    {
        (job.Owner, job.Reason) = ("bob", "rank 0 on cpu-1 (cpu:0) ended with exit code 3: the loss is not finite at step 212");
        job.Spec.Model.Name = "alexnet";
        job.Progress.TrainLoss = double.NaN;
    });

    private Experiment AddSearch(int trials)
    {
        var experiment = new Experiment
        {
            Id = $"{Guid.NewGuid():D}",
            Name = "lenet5-search",
            Owner = "alice",
            CreatedAt = At(-90),
            States = { new JobStateCount { State = JobState.Succeeded, Jobs = trials } },
            Search = new SearchStanding
            {
                Searcher = "asha",
                Phase = SearchPhase.Running,
                Metric = MetricNames.ValidationAccuracy,
                MaxTrials = 64,
                MaxConcurrent = 8,
                Stopped = 14,
                Failed = 1,
                Invalid = 2,
                Rungs =
                {
                    new Rung { Epochs = 1, Trials = trials }, new Rung { Epochs = 4, Trials = 5 }, new Rung { Epochs = 16, Trials = 1 },
                },
            },
        };
        _scheduler.Experiments[experiment.Id] = experiment;
        var draws = new Random(7);
        string[] activations = ["relu", "tanh", "sigmoid"];
        foreach (var trial in Enumerable.Range(1, trials))
        {
            var (rate, batch) = (Math.Pow(10, -4 + (3.5 * draws.NextDouble())), 16 << draws.Next(4));
            var activation = draws.Next(3);
            var score = 0.9 - (0.06 * Math.Pow(Math.Log10(rate) + 2, 2)) - (0.05 * activation) - (0.02 * draws.NextDouble());
            var epochs = trial % 16 == 0 ? 16 : trial % 4 == 0 ? 4 : 1;
            var job = Add($"trial-{trial}", JobState.Succeeded, job =>
            {
                (job.ExperimentId, job.Variant) = (experiment.Id, $"trial-{trial:00}");
                job.Spec.Hyperparameters.Optimizer.LearningRate = rate;
                job.Spec.Hyperparameters.GlobalBatchSize = batch;
                job.Spec.Model.Options["activation"] = new OptionValue { StringValue = activations[activation] };
                job.FinishedAt = At(-80 + trial);
                job.Progress = new Progress
                {
                    Epoch = epochs,
                    Epochs = 16,
                    Step = epochs * 100,
                    Steps = 1_600,
                    TrainLoss = 1.1 - score,
                    ValidationAccuracy = score,
                    ValidationLoss = 1.2 - score,
                };
            });
            if (experiment.Search.Best is not { } best || best.Metric < score)
                experiment.Search.Best = new BestTrial { JobId = job.Id, Metric = score, Epochs = epochs };
            if (trial <= 12)
                _scheduler.Points[job.Id] = [.. Enumerable.Range(1, epochs).Select(
                    epoch => Some.Point(MetricNames.ValidationLoss, epoch * 100, 1.2 - score + (0.8 / epoch)))];
        }

        return experiment;
    }

    private void AddNodes()
    {
        var (mixed, cpu, lost) = (Some.GpuNode("gpu-2", gpus: 4), Some.Node("cpu-1"), Some.Node("cpu-2", NodeState.Lost));
        mixed.Drain = new Drain { By = "olga", Reason = "new fans", Since = At(-30), KeepRunning = true };
        mixed.Devices[3].Gpu.Xids[63] = 2;
        foreach (var node in new[] { mixed, cpu, lost })
            _scheduler.Nodes[node.Id] = node;
    }

    private void AddQueues()
    {
        var queues = new[]
        {
            Some.Queue("research", nominal: 4, past: 0.62), Some.Queue("vision", "research", nominal: 3, used: 4, borrowingLimit: 1),
            Some.Queue("speech", "research", nominal: 1), Some.Queue("product", nominal: 4, used: 1), Some.Queue("default"),
        };
        queues[0].Queue.Weight = 2;
        (queues[1].WaitingJobs, queues[1].RunningJobs, queues[3].WaitingJobs, queues[4].WaitingJobs) = (1, 1, 2, 1);
        foreach (var queue in queues)
            _scheduler.Queues[queue.Queue.Name] = queue;
    }

    private GetDeviceHoursResponse Hours()
    {
        (string Owner, string Queue, JobState State, double Used, double Lost)[] rows =
        [
            ("alice", "vision", JobState.Running, 402, 3), ("bob", "vision", JobState.Succeeded, 211, 12),
            ("carol", "product", JobState.Succeeded, 170, 0), ("bob", "default", JobState.Failed, 46, 31),
            ("alice", "speech", JobState.Cancelled, 12, 2),
        ];
        return new GetDeviceHoursResponse
        {
            Begin = At(-7 * 24 * 60),
            End = At(0),
            Rows =
            {
                rows.Select(row => new DeviceHours
                {
                    Owner = row.Owner, Queue = row.Queue, State = row.State, Kind = DeviceKind.Cuda, Jobs = 4, UsedHours = row.Used,
                    LostHours = row.Lost,
                }),
            },
            Capacity =
            {
                new DeviceCapacity { Kind = DeviceKind.Cuda, Hours = 1344, IdleHours = 503 },
                new DeviceCapacity { Kind = DeviceKind.Cpu, Hours = 336, IdleHours = 336 },
            },
        };
    }
}
