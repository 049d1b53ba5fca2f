using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf.WellKnownTypes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Workspaces;

internal sealed class WorkspaceRow
{
    public required string Name { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required string CreatedBy { get; init; }
    public List<MemberRow> Members { get; init; } = [];

    public Workspace ToWorkspace() => new()
    {
        Name = Name,
        CreatedAt = CreatedAt.ToTimestamp(),
        CreatedBy = CreatedBy,
        Members = { Members.OrderBy(member => member.Owner, StringComparer.Ordinal).Select(member => member.ToMember()) },
    };
}

internal sealed class MemberRow
{
    public required string Workspace { get; init; }
    public required string Owner { get; init; }
    public required Scope Role { get; init; }
    public int? HighestPriority { get; init; }
    public string[]? Queues { get; init; }

    public WorkspaceMember ToMember()
    {
        var member = new WorkspaceMember { Owner = Owner, Role = Role, Queues = { Queues ?? [] } };
        if (HighestPriority is { } highest)
            member.HighestPriority = highest;
        return member;
    }
}

internal static class WorkspaceTable
{
    extension(ClusterDbContext context)
    {
        public DbSet<WorkspaceRow> Workspaces => context.Set<WorkspaceRow>();
    }
}

internal sealed class WorkspaceRowMapping : IEntityTypeConfiguration<WorkspaceRow>
{
    public void Configure(EntityTypeBuilder<WorkspaceRow> row)
    {
        row.ToTable("workspaces").HasKey(w => w.Name);
        row.HasMany(w => w.Members).WithOne().HasForeignKey(member => member.Workspace);
    }
}

internal sealed class MemberRowMapping : IEntityTypeConfiguration<MemberRow>
{
    public void Configure(EntityTypeBuilder<MemberRow> row) =>
        row.ToTable("workspace_members").HasKey(member => new { member.Workspace, member.Owner });
}
