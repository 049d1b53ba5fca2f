using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Checkpoints;

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

internal static class CheckpointTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<CheckpointRow> Checkpoints => context.Set<CheckpointRow>();
    }
}

internal sealed class CheckpointRowMapping : IEntityTypeConfiguration<CheckpointRow>
{
    public void Configure(EntityTypeBuilder<CheckpointRow> row)
    {
        row.ToTable("checkpoints");
        row.Property(c => c.ImportedModel).IsJson();
    }
}
