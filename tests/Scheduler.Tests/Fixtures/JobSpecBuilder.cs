using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>A small job; a test says only what it is about.</summary>
public sealed class JobSpecBuilder
{
    private readonly JobSpec _spec = new()
    {
        Name = "test",
        Workspace = "default",
        Model = new ModelSpec { Name = "lenet5" },
        Data = new DataSpec { Name = "fashion-mnist", ValidationSamples = 1000 },
        Hyperparameters = new Hyperparameters
        {
            Epochs = 1,
            GlobalBatchSize = 8,
            Optimizer = new OptimizerSpec { Name = "sgd", LearningRate = 0.1 },
        },
        Resources = new ResourceSpec { Devices = 1, DeviceKind = DeviceKind.Cpu },
        Parallelism = Parallelism.Data,
        Checkpoints = new CheckpointPolicy { EveryEpochs = 1, KeepLatest = 2, KeepBest = true },
        Restarts = new RestartPolicy
        {
            MaxRestarts = 3,
            InitialBackoff = Duration.FromTimeSpan(TimeSpan.FromSeconds(5)),
            MaxBackoff = Duration.FromTimeSpan(TimeSpan.FromMinutes(5)),
        },
        Seed = ulong.MaxValue,
    };

    public static JobSpecBuilder AJob() => new();

    public JobSpecBuilder WithDevices(int devices) => With(s => s.Resources.Devices = devices);

    public JobSpecBuilder WithPriority(int priority) => With(s => s.Priority = priority);

    public JobSpecBuilder WithRestarts(int restarts) => With(s => s.Restarts.MaxRestarts = restarts);

    public JobSpecBuilder With(Action<JobSpec> change)
    {
        change(_spec);
        return this;
    }

    public JobSpec Build() => _spec.Clone();
}
