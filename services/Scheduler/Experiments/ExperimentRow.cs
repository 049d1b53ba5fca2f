using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Experiments;

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

internal static class ExperimentTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<ExperimentRow> Experiments => context.Set<ExperimentRow>();
    }
}

internal sealed class ExperimentRowMapping : IEntityTypeConfiguration<ExperimentRow>
{
    public void Configure(EntityTypeBuilder<ExperimentRow> row)
    {
        row.ToTable("experiments");
        row.HasMany<JobRow>().WithOne().HasForeignKey(j => j.ExperimentId);
    }
}
