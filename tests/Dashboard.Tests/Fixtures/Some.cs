using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>Jobs and the like, as much of them as tests do not care about.</summary>
internal static class Some
{
    private static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static Timestamp At(int seconds) => Noon.AddSeconds(seconds).ToTimestamp();

    public static Job Job(string name, JobState state = JobState.Running, int at = 0, Action<Job>? change = null)
    {
        var job = new Job
        {
            Id = $"{Guid.NewGuid():D}",
            Spec = JobFile.ParseMarked("""
                name: a-job
                model: lenet5
                data: fashion-mnist
                hyperparameters: {epochs: 2, globalBatchSize: 64, optimizer: {name: adam, learningRate: 0.002}}
                resources: {devices: 1}
                """),
            State = state,
            Owner = "alice",
            QueueName = "default",
            CreatedAt = At(at),
        };
        job.Spec.Name = name;
        if (state is not (JobState.Queued or JobState.Paused))
        {
            job.StartedAt = At(at + 10);
            job.Attempt = 1;
            job.Placement.Add(new DevicePlacement { NodeName = "worker-1", Device = "cpu:0" });
            job.Progress = new Progress { Epoch = 1, Epochs = 2, Step = 100, Steps = 200, TrainLoss = 0.5, ValidationAccuracy = 0.75 };
        }

        if (state is JobState.Succeeded or JobState.Failed or JobState.Cancelled)
            job.FinishedAt = At(at + 70);
        change?.Invoke(job);
        return job;
    }

    public static Run Run(Job job) => new()
    {
        JobId = job.Id,
        Name = job.Spec.Name,
        Owner = job.Owner,
        State = job.State,
        Model = job.Spec.Model,
        Data = job.Spec.Data,
        Hyperparameters = job.Spec.Hyperparameters,
        Parallelism = job.Spec.Parallelism,
        Progress = job.Progress,
        StartedAt = job.StartedAt,
        FinishedAt = job.FinishedAt,
        CreatedAt = job.CreatedAt,
        Seed = job.Spec.Seed,
        ExperimentId = job.ExperimentId,
        Variant = job.Variant,
        Queue = job.QueueName,
        Labels = { job.Spec.Labels },
    };

    public static MetricPoint Point(string name, long step, double value) =>
        new() { Name = name, Step = step, Epoch = 1 + (int)((step - 1) / 100), Value = value, Time = At((int)step) };

    public static Node Node(string name, NodeState state = NodeState.Ready, string job = "") => new()
    {
        Id = $"{Guid.NewGuid():D}",
        Name = name,
        State = state,
        AgentVersion = "1.0",
        Labels = { ["rack"] = "r1" },
        DataSets = { "fashion-mnist" },
        Devices =
        {
            new DeviceStatus
            {
                Device = new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 4, MemoryBytes = 8L << 30, Model = "EPYC" },
                JobId = job,
                Utilization = 0.5,
            },
        },
    };

    /// <summary>With as many of one card, all of them held by the job, or free.</summary>
    public static Node GpuNode(string name, int gpus, string job = "") => new()
    {
        Id = $"{Guid.NewGuid():D}",
        Name = name,
        State = NodeState.Ready,
        AgentVersion = "1.0",
        Labels = { ["rack"] = "r2" },
        DataSets = { "image-folder/imagenet", "cifar-10" },
        Devices =
        {
            Enumerable.Range(0, gpus).Select(index => new DeviceStatus
            {
                Device = new Device { Id = $"cuda:{index}", Kind = DeviceKind.Cuda, MemoryBytes = 141L << 30, Model = "NVIDIA H200" },
                JobId = job,
                Utilization = 0.97 - (0.01 * index),
                Gpu = new GpuHealth
                {
                    TemperatureCelsius = 61 + index, PowerWatts = 640 + (5 * index), UsedMemoryBytes = (88L + index) << 30,
                    CorrectedErrors = 0, UncorrectedErrors = 0,
                },
            }),
        },
    };

    /// <summary>A queue of GPUs.</summary>
    public static QueueStatus Queue(
        string name, string parent = "", int? nominal = null, int used = 0, int? borrowingLimit = null, double past = 0)
    {
        var status = new QueueStatus { Queue = new Queue { Name = name, Parent = parent, Weight = 1 } };
        if (nominal is { } quota)
        {
            var devices = new DeviceQuota { Kind = DeviceKind.Cuda, Nominal = quota };
            if (borrowingLimit is { } limit)
                devices.BorrowingLimit = limit;
            status.Queue.Quotas.Add(devices);
        }

        if (used > 0)
            status.Used.Add(new UsedDevices { Kind = DeviceKind.Cuda, Devices = used });
        if (past > 0)
            status.Past.Add(new PastDevices { Kind = DeviceKind.Cuda, Devices = past });
        return status;
    }
}
