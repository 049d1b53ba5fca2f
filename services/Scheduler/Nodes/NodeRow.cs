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
    public required DateTimeOffset RegisteredAt { get; init; }
    public DateTimeOffset? LostAt { get; init; }
    public Drain? Drain { get; init; }
}

internal sealed class NodeLeaseRow
{
    public required Guid NodeId { get; init; }
    public required string Incarnation { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
}

internal sealed class NodeMeasurementRow
{
    public required Guid NodeId { get; init; }
    public required NodeMeasured Devices { get; init; }
}

internal static class NodeTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<NodeRow> Nodes => context.Set<NodeRow>();

        public DbSet<NodeLeaseRow> NodeLeases => context.Set<NodeLeaseRow>();

        public DbSet<NodeMeasurementRow> NodeMeasurements => context.Set<NodeMeasurementRow>();
    }
}

internal sealed class NodeRowMapping : IEntityTypeConfiguration<NodeRow>
{
    public void Configure(EntityTypeBuilder<NodeRow> row)
    {
        row.ToTable("nodes");
        row.Property(n => n.Devices).IsJson();
        row.Property(n => n.Labels).IsJson();
        row.Property(n => n.Drain).IsJson();
    }
}

internal sealed class NodeLeaseRowMapping : IEntityTypeConfiguration<NodeLeaseRow>
{
    public void Configure(EntityTypeBuilder<NodeLeaseRow> row) => row.ToTable("node_leases").HasKey(l => l.NodeId);
}

internal sealed class NodeMeasurementRowMapping : IEntityTypeConfiguration<NodeMeasurementRow>
{
    public void Configure(EntityTypeBuilder<NodeMeasurementRow> row)
    {
        row.ToTable("node_measurements").HasKey(m => m.NodeId);
        row.Property(m => m.Devices).IsJson();
    }
}
