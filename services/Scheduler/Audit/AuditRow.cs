using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Audit;

/// <inheritdoc cref="AuditEntry"/>
internal sealed class AuditRow
{
    /// <summary>Given by the database.</summary>
    public long Sequence { get; init; }
    public required DateTimeOffset Time { get; init; }
    public required string Who { get; init; }
    public required string Token { get; init; }
    public required string Origin { get; init; }
    public required string Action { get; init; }
    public required string Object { get; init; }
    public required string Status { get; init; }
    public required string Detail { get; init; }
    public int LeftOut { get; init; }

    public AuditEntry ToEntry() => new()
    {
        Sequence = Sequence,
        Time = Time.ToTimestamp(),
        Who = Who,
        Token = Token,
        Origin = Origin,
        Action = Action,
        Object = Object,
        Status = Status,
        Detail = Detail,
        LeftOut = LeftOut,
    };
}

internal static class AuditTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<AuditRow> Audit => context.Set<AuditRow>();
    }
}

internal sealed class AuditRowMapping : IEntityTypeConfiguration<AuditRow>
{
    public void Configure(EntityTypeBuilder<AuditRow> row) => row.ToTable("audit").HasKey(a => a.Sequence);
}
