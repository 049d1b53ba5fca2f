namespace Cluster.Bench.Scheduling;

/// <summary>Job files as people write them. The processes that stand for trainers do not look at them.</summary>
internal static class JobTexts
{
    /// <summary>Label of nodes, whose value says which jobs they take.</summary>
    public const string Label = "pool";

    /// <summary>Where a device is free.</summary>
    public const string Idle = "idle";

    /// <summary>Where the only device is taken.</summary>
    public const string Busy = "busy";

    /// <summary>As many as an experiment may have.</summary>
    public const int JobsOfAnExperiment = 100;

    public static string Job(string pool) =>
        $$"""
        name: bench
        model: {name: lenet5}
        data: {name: fashion-mnist}
        hyperparameters:
          epochs: 1
          globalBatchSize: 64
          optimizer: {name: sgd, learningRate: 0.01, momentum: 0.9}
        resources: {devices: 1, nodeLabels: { {{Label}}: {{pool}} } }

        """;

    public static string Experiment(string pool) =>
        Job(pool) + $"matrix:\n  seed: [{string.Join(", ", Enumerable.Range(1, JobsOfAnExperiment))}]\n";
}
