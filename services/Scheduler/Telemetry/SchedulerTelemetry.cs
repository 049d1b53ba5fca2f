using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Cluster.Scheduler.Telemetry;

/// <summary>The names under which the scheduler's spans and metrics are collected.</summary>
public static class SchedulerTelemetry
{
    public const string Name = "Cluster.Scheduler";

    public static ActivitySource Activities { get; } = new(Name);
}
