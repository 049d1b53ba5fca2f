using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Search;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Experiments;

// Columns are explained in the migration that makes them.

internal sealed class SearchRow
{
    public required Guid ExperimentId { get; init; }
    public required long Version { get; init; }
    public required string Searcher { get; init; }
    public required string Metric { get; init; }
    public required bool SmallerIsBetter { get; init; }
    public required SearchPhase Phase { get; init; }
    public required SearchState State { get; init; }
    public required DateTimeOffset? NextDueAt { get; init; }
    public required string? Queue { get; init; }
}

internal static class SearchTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<SearchRow> Searches => context.Set<SearchRow>();
    }
}

internal sealed class SearchRowMapping : IEntityTypeConfiguration<SearchRow>
{
    public void Configure(EntityTypeBuilder<SearchRow> row)
    {
        row.ToTable("searches").HasKey(s => s.ExperimentId);
        row.Property(s => s.State).HasConversion(state => state.Write(), text => SearchState.Read(text));
    }
}
