using System.Collections.Frozen;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Workspaces;

/// <summary>Who is a member of which workspace, held in memory: it is asked at every call.</summary>
internal sealed class WorkspaceDirectory(WorkspaceStore store)
{
    private volatile FrozenDictionary<string, FrozenDictionary<string, MemberRow>> _closed =
        FrozenDictionary<string, FrozenDictionary<string, MemberRow>>.Empty;

    /// <summary>Reads all workspaces again.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken) =>
        _closed = (await store.LoadAsync(cancellationToken)).ToFrozenDictionary(
            row => row.Name, row => row.Members.ToFrozenDictionary(member => member.Owner, StringComparer.Ordinal), StringComparer.Ordinal);

    /// <summary>To operators of the cluster none is closed.</summary>
    /// <param name="only">The workspaces that the caller's token is limited to; null: it is not.</param>
    public Visibility Of(string owner, Scope scope, string[]? only)
    {
        string[] hidden = scope is Scope.Operator or Scope.Admin
            ? []
            : [.. _closed.Where(workspace => !workspace.Value.ContainsKey(owner)).Select(workspace => workspace.Key)];
        return hidden.Length == 0 && only is null ? Visibility.All : new Visibility(owner, hidden, only);
    }

    public bool IsClosed(string workspace) => _closed.ContainsKey(workspace);

    /// <returns>Null: it is not closed, or not to this one.</returns>
    public MemberRow? MemberOf(string workspace, string owner) => _closed.GetValueOrDefault(workspace)?.GetValueOrDefault(owner);
}
