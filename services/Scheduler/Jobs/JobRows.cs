using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Jobs;

// Columns are explained in the migrations that make them.

internal sealed class JobRow
{
    public required Guid Id { get; init; }
    public required string Owner { get; init; }
    public required string RequestId { get; init; }
    public required string Name { get; init; }
    public required string Workspace { get; init; }
    public required int Priority { get; set; }
    public string Queue { get; set; } = QueueNames.Default;
    public required JobSpec Spec { get; init; }
    public required bool WaitForCapacity { get; init; }
    public required string TraceParent { get; init; }
    public required string TraceState { get; init; }
    public Guid? ExperimentId { get; init; }
    public string Variant { get; init; } = "";
    public int? TrainUntil { get; init; }
    public int TrainedTo { get; set; }
    public MemoryEstimate? Memory { get; init; }
    public required JobState State { get; set; }
    public required string Reason { get; set; }
    public string ReasonCode { get; set; } = "";
    public JobState? StoppingTo { get; set; }
    public required long Version { get; set; }
    public required long LastEvent { get; set; }
    public int Attempt { get; set; }
    public int Restarts { get; set; }
    public int LaunchFailures { get; set; }
    public TimeSpan Ran { get; set; }
    public DateTimeOffset? NotBefore { get; set; }
    public Guid[] AvoidNodes { get; set; } = [];
    public Guid[] ExcludedNodes { get; set; } = [];
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }

    public JobRow Copy() => (JobRow)MemberwiseClone();
}

/// <summary>What of a job's row in the queue changes with the job.</summary>
internal sealed class QueuedJobRow
{
    public required Guid JobId { get; init; }
    public required JobState State { get; init; }
    public required long Version { get; init; }
    public required string Queue { get; init; }
    public required int Priority { get; init; }
    public required DateTimeOffset? NotBefore { get; init; }
    public required Guid[] AvoidNodes { get; init; }
    public required Guid[] ExcludedNodes { get; init; }
    public required DateTimeOffset? NextDueAt { get; init; }
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

internal static class JobTables
{
    extension(ClusterDbContext context)
    {
        public DbSet<JobRow> Jobs => context.Set<JobRow>();

        public DbSet<JobEventRow> JobEvents => context.Set<JobEventRow>();
    }
}

internal sealed class JobRowMapping : IEntityTypeConfiguration<JobRow>
{
    public void Configure(EntityTypeBuilder<JobRow> job)
    {
        job.ToTable("jobs");
        job.Property(j => j.Version).IsConcurrencyToken();
        job.Property(j => j.Spec).HasConversion(SpecColumn.Converter, SpecColumn.Comparer);
        job.Property(j => j.Memory).IsJson();
        job.Property(j => j.TraceParent).HasColumnName("traceparent");
        job.Property(j => j.TraceState).HasColumnName("tracestate");
        job.Unchanging(j => j.Owner, j => j.RequestId, j => j.Name, j => j.Workspace, j => j.Spec, j => j.WaitForCapacity,
            j => j.TraceParent, j => j.TraceState, j => j.ExperimentId, j => j.Variant, j => j.Memory, j => j.CreatedAt);
    }
}

internal sealed class QueuedJobRowMapping : IEntityTypeConfiguration<QueuedJobRow>
{
    public void Configure(EntityTypeBuilder<QueuedJobRow> row) => row.ToTable("job_queue").HasKey(q => q.JobId);
}

internal sealed class JobEventRowMapping : IEntityTypeConfiguration<JobEventRow>
{
    public void Configure(EntityTypeBuilder<JobEventRow> row)
    {
        row.ToTable("job_events").HasKey(e => new { e.JobId, e.Sequence });
        row.HasOne<JobRow>().WithMany().HasForeignKey(e => e.JobId);
    }
}
