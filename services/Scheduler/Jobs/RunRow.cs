using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Jobs;

internal sealed class RunRow
{
    public required Guid JobId { get; init; }
    public Progress? Progress { get; init; }
    public RunEnvironment? Environment { get; init; }
}

internal static class RunTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<RunRow> Runs => context.Set<RunRow>();
    }
}

internal sealed class RunRowMapping : IEntityTypeConfiguration<RunRow>
{
    public void Configure(EntityTypeBuilder<RunRow> row)
    {
        row.ToTable("runs").HasKey(r => r.JobId);
        row.Property(r => r.Progress).IsJson();
        row.Property(r => r.Environment).IsJson();
    }
}
