using System.Diagnostics.Metrics;
using Cluster.Contracts;
using Cluster.Worker.Telemetry;

namespace Cluster.Worker.Agent;

/// <summary>What an agent counts. Job ids stand in logs and spans, not here.</summary>
internal static class AgentMetrics
{
    private static readonly Counter<long> Ends = WorkerTelemetry.AgentMeter.CreateCounter<long>(
        "agent.trainer.ends", "{process}", "Trainers that ended, by how.");

    public static Counter<long> DroppedLines { get; } = WorkerTelemetry.AgentMeter.CreateCounter<long>(
        "agent.log.dropped", "{line}", "Lines of log dropped because the spool was full.");

    public static Counter<long> Retries { get; } = WorkerTelemetry.AgentMeter.CreateCounter<long>(
        "agent.scheduler.retries", "{call}", "Calls to the scheduler made again.");

    public static void Ended(ProcessEnd end) => Ends.Add(1, new KeyValuePair<string, object?>("outcome", end switch
    {
        { Signal: not 0 } => "signal",
        { ExitCode: TrainerExit.Done } => "done",
        { ExitCode: TrainerExit.Stopped } => "stopped",
        { ExitCode: TrainerExit.OutOfMemory } => "out_of_memory",
        { ExitCode: TrainerExit.Misconfigured } => "misconfigured",
        _ => "failed",
    }));
}
