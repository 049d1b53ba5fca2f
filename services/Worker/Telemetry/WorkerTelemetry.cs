using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Cluster.Worker.Telemetry;

/// <summary>The names under which the worker's two kinds of process appear in traces and metrics.</summary>
public static class WorkerTelemetry
{
    public const string AgentName = "Cluster.Worker.Agent";
    public const string TrainerName = "Cluster.Worker.Trainer";

    /// <summary>Spans of the agent.</summary>
    public static ActivitySource Agent { get; } = new(AgentName);

    /// <summary>Spans of a trainer; they descend from the attempt's span through the launch.</summary>
    public static ActivitySource Trainer { get; } = new(TrainerName);

    public static Meter AgentMeter { get; } = new(AgentName);

    /// <summary>Bounds in seconds: from a small net's step to a large net's on a CPU.</summary>
    public static InstrumentAdvice<double> StepTimes { get; } = new()
    {
        HistogramBucketBoundaries =
            [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 5, 10, 30, 60],
    };

    /// <summary>Instruments of training: <c>training.step.duration</c> and the like.</summary>
    public static Meter TrainerMeter { get; } = new(TrainerName);

    /// <summary>Steps with a loss or a gradient that is no number; the job ends with the first, on every rank.</summary>
    public static Counter<long> LossNotFinite { get; } = TrainerMeter.CreateCounter<long>(
        "training.loss.not_finite", "{step}", "Steps with a loss or a gradient that is no number.");
}
