using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Access;

internal sealed class TokenRow
{
    public required byte[] Hash { get; init; }
    public required string Owner { get; init; }
    public required Scope Scope { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
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
