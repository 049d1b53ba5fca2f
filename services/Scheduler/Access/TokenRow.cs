using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Access;

/// <summary>A token that was given out, with its hash in its place.</summary>
public sealed class TokenRow
{
    /// <summary>SHA-256 of its text.</summary>
    public required byte[] Hash { get; init; }
    public required Guid Id { get; init; }
    public required string Name { get; init; }
    public required string Owner { get; init; }
    public required Scope Scope { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required string CreatedBy { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public DateTimeOffset? RevokedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
    public Guid? NodeId { get; init; }

    /// <summary>Null: it is not limited to any.</summary>
    public string[]? Workspaces { get; init; }

    internal AccessToken ToToken() => new()
    {
        Id = Id.ToString(),
        Name = Name,
        Owner = Owner,
        Scope = Scope,
        CreatedAt = CreatedAt.ToTimestamp(),
        CreatedBy = CreatedBy,
        ExpiresAt = ExpiresAt?.ToTimestamp(),
        RevokedAt = RevokedAt?.ToTimestamp(),
        LastUsedAt = LastUsedAt?.ToTimestamp(),
        NodeId = NodeId?.ToString() ?? "",
        Workspaces = { Workspaces ?? [] },
    };
}

internal static class TokenTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<TokenRow> Tokens => context.Set<TokenRow>();
    }
}

internal sealed class TokenRowMapping : IEntityTypeConfiguration<TokenRow>
{
    public void Configure(EntityTypeBuilder<TokenRow> row) => row.ToTable("tokens").HasKey(t => t.Hash);
}
