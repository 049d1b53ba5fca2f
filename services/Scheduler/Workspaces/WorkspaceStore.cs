using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Cluster.Scheduler.Workspaces;

/// <summary>Workspaces that are closed, and their members.</summary>
internal sealed class WorkspaceStore(ClusterDatabase database, TimeProvider time)
{
    public Task<List<WorkspaceRow>> LoadAsync(CancellationToken cancellationToken) => database.WithEntitiesAsync(
        (context, token) => context.Workspaces.Include(w => w.Members).AsSplitQuery().ToListAsync(token), cancellationToken);

    /// <summary>By name.</summary>
    /// <param name="member">Null: all; else those of which this one is a member.</param>
    /// <param name="only">Null: all; else of these.</param>
    /// <exception cref="FormatException">The page token is not one that this made.</exception>
    public Task<Page<Workspace>> ListAsync(
        string? member, string[]? only, int pageSize, string pageToken, CancellationToken cancellationToken) =>
        database.WithEntitiesAsync(
            (context, token) => Page.FillAsync(pageSize, pageToken, (after, count) =>
            {
                var last = after.Length > 0 ? PageToken.ReadName(after).Name : "";
                var workspaces = context.Workspaces.Where(w => string.Compare(w.Name, last) > 0);
                if (member is not null)
                    workspaces = workspaces.Where(w => w.Members.Any(m => m.Owner == member));
                if (only is not null)
                    workspaces = workspaces.Where(w => only.Contains(w.Name));
                return workspaces.OrderBy(w => w.Name).Take(count).Include(w => w.Members).AsSplitQuery().ToListAsync(token);
            }, rows => Task.FromResult(rows.ConvertAll(row => row.ToWorkspace())), last => PageToken.Write(last.Name, Guid.Empty)),
            cancellationToken);

    public Task CloseAsync(string name, string by, CancellationToken cancellationToken) => ExecuteAsync(
        "insert into workspaces values ($1, $2, $3) on conflict (name) do nothing", [name, time.GetUtcNow(), by], cancellationToken);

    /// <returns>False: it is not closed.</returns>
    public async Task<bool> OpenAsync(string name, CancellationToken cancellationToken) =>
        await ExecuteAsync("delete from workspaces where name = $1", [name], cancellationToken) > 0;

    /// <returns>False: the workspace is not closed.</returns>
    public async Task<bool> SetMemberAsync(string name, WorkspaceMember member, CancellationToken cancellationToken) =>
        await ExecuteAsync(
            """
            insert into workspace_members (workspace, owner, role, highest_priority, queues)
            select name, $2, $3, $4::integer, $5::text[] from workspaces where name = $1
            on conflict (workspace, owner) do update set
                role = excluded.role, highest_priority = excluded.highest_priority, queues = excluded.queues
            """,
            [
                name, member.Owner, member.Role.ToString(), member.HasHighestPriority ? member.HighestPriority : DBNull.Value,
                member.Queues.Count > 0 ? member.Queues.ToArray() : DBNull.Value,
            ],
            cancellationToken) > 0;

    public Task RemoveMemberAsync(string name, string owner, CancellationToken cancellationToken) => ExecuteAsync(
        "delete from workspace_members where workspace = $1 and owner = $2", [name, owner], cancellationToken);

    private Task<int> ExecuteAsync(string sql, object[] parameters, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var parameter in parameters)
                command.Parameters.Add(new() { Value = parameter });
            return await command.ExecuteNonQueryAsync(token);
        }, cancellationToken);
}
