using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Nodes;

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
    public required IReadOnlyList<NodeDevice> Devices { get; init; }
    public required IReadOnlyDictionary<string, string> Labels { get; init; }
    public required string[] DataSets { get; init; }
    public required IReadOnlyDictionary<string, double> Utilization { get; init; }
    public required DateTimeOffset RegisteredAt { get; init; }
    public required DateTimeOffset LeaseExpiresAt { get; init; }
    public DateTimeOffset? LostAt { get; init; }
}

internal static class NodeTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<NodeRow> Nodes => context.Set<NodeRow>();
    }
}

internal sealed class NodeRowMapping : IEntityTypeConfiguration<NodeRow>
{
    public void Configure(EntityTypeBuilder<NodeRow> row)
    {
        row.ToTable("nodes");
        row.Property(n => n.Devices).IsJson();
        row.Property(n => n.Labels).IsJson();
        row.Property(n => n.Utilization).IsJson();
    }
}
