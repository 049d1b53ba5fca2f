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

    /// <summary>Instruments of training: <c>training.step.duration</c> and the like.</summary>
    public static Meter TrainerMeter { get; } = new(TrainerName);
}
