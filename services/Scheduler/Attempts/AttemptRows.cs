using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Attempts;

// Columns are explained in the migrations that make them.

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
    public Guid? PreemptedFor { get; init; }
    public DateTimeOffset? ReleaseBy { get; init; }
    public double? LostDeviceSeconds { get; set; }
    public Guid? ResizedFor { get; init; }
    public Guid[]? NextNodes { get; set; }
    public string[]? NextDevices { get; set; }

    public AttemptRow Copy() => (AttemptRow)MemberwiseClone();
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
    public int[] MatchedPolicies { get; set; } = [];
    public DateTimeOffset? ReleasedAt { get; set; }

    public DeviceGrantRow Copy() => (DeviceGrantRow)MemberwiseClone();
}

internal static class AttemptTables
{
    extension(ClusterDbContext context)
    {
        public DbSet<AttemptRow> Attempts => context.Set<AttemptRow>();

        public DbSet<DeviceGrantRow> DeviceGrants => context.Set<DeviceGrantRow>();
    }
}

internal sealed class AttemptRowMapping : IEntityTypeConfiguration<AttemptRow>
{
    public void Configure(EntityTypeBuilder<AttemptRow> row) => row.ToTable("attempts").HasKey(a => new { a.JobId, a.Number });
}

internal sealed class DeviceGrantRowMapping : IEntityTypeConfiguration<DeviceGrantRow>
{
    public void Configure(EntityTypeBuilder<DeviceGrantRow> row)
    {
        row.ToTable("device_grants").HasKey(g => new { g.JobId, g.Attempt, g.Rank });
        row.HasOne<AttemptRow>().WithMany().HasForeignKey(g => new { g.JobId, g.Attempt });
    }
}
