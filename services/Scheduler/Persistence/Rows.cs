using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Persistence;

// The tables of Migrations/*.sql that are worked with as entities; comments on the columns are there.

internal sealed class JobRow
{
    public required Guid Id { get; init; }
    public required string Owner { get; init; }
    public required string RequestId { get; init; }
    public required string Name { get; init; }
    public required string Workspace { get; init; }
    public required int Priority { get; set; }
    public required JobSpec Spec { get; init; }
    public required bool WaitForCapacity { get; init; }
    public required string TraceParent { get; init; }
    public required string TraceState { get; init; }
    public Guid? ExperimentId { get; init; }
    public string Variant { get; init; } = "";
    public MemoryEstimate? Memory { get; init; }
    public required JobState State { get; set; }
    public required string Reason { get; set; }
    public JobState? StoppingTo { get; set; }
    public required long Version { get; set; }
    public required long LastEvent { get; set; }
    public int Attempt { get; set; }
    public int Restarts { get; set; }
    public int LaunchFailures { get; set; }
    public DateTimeOffset? NotBefore { get; set; }
    public Guid[] AvoidNodes { get; set; } = [];
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
}

internal sealed class JobEventRow
{
    public required Guid JobId { get; init; }
    public required long Sequence { get; init; }
    public required DateTimeOffset Time { get; init; }
    public required JobState FromState { get; init; }
    public required JobState ToState { get; init; }
    public required string Reason { get; init; }
    public required int Attempt { get; init; }
}

internal sealed class ExperimentRow
{
    public required Guid Id { get; init; }
    public required string Owner { get; init; }
    public required string RequestId { get; init; }
    public required string Name { get; init; }
    public required string Workspace { get; init; }
    public required string Yaml { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

internal sealed class AttemptRow
{
    public required Guid JobId { get; init; }
    public required int Number { get; init; }
    public required byte[] SecretHash { get; init; }
    public required AttemptState State { get; set; }
    public required int WorldSize { get; init; }
    public Guid? ResumeCheckpointId { get; init; }
    public long ResumeStep { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? EndingAt { get; set; }
    public DateTimeOffset? EndedAt { get; set; }
    public string Reason { get; set; } = "";
    public bool LaunchFailed { get; set; }
}

internal sealed class DeviceGrantRow
{
    public required Guid JobId { get; init; }
    public required int Attempt { get; init; }
    public required int Rank { get; init; }
    public required Guid NodeId { get; init; }
    public required string NodeName { get; init; }
    public required long NodeEpoch { get; init; }
    public required string Device { get; init; }
    public required DateTimeOffset GrantedAt { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? GoneAt { get; set; }
    public bool Lost { get; set; }
    public int? ExitCode { get; set; }
    public int? ExitSignal { get; set; }
    public string ExitMessage { get; set; } = "";
    public DateTimeOffset? ReleasedAt { get; set; }
}

internal sealed class NodeRow
{
    public required Guid Id { get; init; }
    public required string Name { get; init; }
    public required string AgentAddress { get; init; }
    public required string AgentVersion { get; init; }
    public required string Incarnation { get; init; }
    public required long Epoch { get; init; }
    public required NodeState State { get; init; }
    public required bool Clean { get; init; }
    public required IReadOnlyList<Nodes.NodeDevice> Devices { get; init; }
    public required IReadOnlyDictionary<string, string> Labels { get; init; }
    public required string[] DataSets { get; init; }
    public required IReadOnlyDictionary<string, double> Utilization { get; init; }
    public required DateTimeOffset RegisteredAt { get; init; }
    public required DateTimeOffset LeaseExpiresAt { get; init; }
    public DateTimeOffset? LostAt { get; init; }
}

internal sealed class RunRow
{
    public required Guid JobId { get; init; }
    public Progress? Progress { get; init; }
    public RunEnvironment? Environment { get; init; }
}

internal sealed class CheckpointRow
{
    public required Guid Id { get; init; }
    public Guid? JobId { get; init; }
    public required string Owner { get; init; }
    public required int Attempt { get; init; }
    public required long Step { get; init; }
    public required int Epoch { get; init; }
    public required long Bytes { get; init; }
    public double? ValidationAccuracy { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public ArtifactKind Kind { get; init; }
    public ModelSpec? ImportedModel { get; init; }
    public string? ImportedFile { get; init; }
}

internal sealed class TokenRow
{
    public required byte[] Hash { get; init; }
    public required string Owner { get; init; }
    public required Scope Scope { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}
