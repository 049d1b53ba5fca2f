using System.Diagnostics;

namespace Cluster.Scheduler.Jobs;

/// <summary>Spans of the scheduler's own work.</summary>
internal static class SchedulerActivity
{
    public const string SourceName = "Cluster.Scheduler";

    public static ActivitySource Source { get; } = new(SourceName);
}
