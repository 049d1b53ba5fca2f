using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Scheduler.Access;

/// <summary>Who makes a call, as its token proves.</summary>
/// <param name="Owner">The name that jobs submitted with this token belong to.</param>
public sealed record Caller(string Owner, Scope Scope)
{
    /// <summary>What its token is called; a file's has the file's purpose.</summary>
    public string TokenName { get; init; } = "";

    /// <summary>The token's id; null: it stands in a file.</summary>
    public Guid? TokenId { get; init; }

    /// <summary>The only node that it speaks for; null: it is a person's token, or the one that nodes share.</summary>
    public NodeId? Node { get; init; }

    /// <summary>The only workspaces that are there for it; null: it is not limited to any.</summary>
    public string[]? Workspaces { get; init; }

    /// <summary>When its token ends, where that is not listed here; null: its row says so.</summary>
    public DateTimeOffset? EndsAt { get; init; }

    /// <summary>The caller that <see cref="ScopeInterceptor"/> has recognised.</summary>
    public static Caller Of(ServerCallContext context) => TryOf(context)!;

    /// <returns>Null when nobody was recognised.</returns>
    public static Caller? TryOf(ServerCallContext context) =>
        context.UserState.TryGetValue(typeof(Caller), out var caller) ? caller as Caller : null;

    /// <summary>Whether a workspace is one of those that the token is limited to, where it is.</summary>
    public bool MayEnter(string workspace) => Workspaces is null || Workspaces.Contains(workspace, StringComparer.Ordinal);

    /// <summary>Whether the caller may change what <paramref name="owner"/> owns: its own things, or anyone's as an operator.</summary>
    public bool MayChangeWhatIsOwnedBy(string owner) => owner == Owner || Scope is Scope.Operator or Scope.Admin;
}
