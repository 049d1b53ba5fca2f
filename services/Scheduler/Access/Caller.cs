using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Scheduler.Access;

/// <summary>Who makes a call, as its token proves.</summary>
/// <param name="Owner">The name that jobs submitted with this token belong to.</param>
public sealed record Caller(string Owner, Scope Scope)
{
    /// <summary>The caller that <see cref="ScopeInterceptor"/> has recognised.</summary>
    public static Caller Of(ServerCallContext context) => (Caller)context.UserState[typeof(Caller)];

    /// <summary>Whether the caller may change what <paramref name="owner"/> owns: its own things, or anyone's as an operator.</summary>
    public bool MayChangeWhatIsOwnedBy(string owner) => owner == Owner || Scope is Scope.Operator or Scope.Admin;
}

/// <summary>
/// One rank of an attempt. The secret is only claimed: whoever acts on the attempt compares it, in the same breath as the write.
/// </summary>
public sealed record AttemptCaller(JobId JobId, int Attempt, int Rank, string Secret)
{
    /// <summary>The rank whose metadata <see cref="ScopeInterceptor"/> has read.</summary>
    public static AttemptCaller Of(ServerCallContext context) => (AttemptCaller)context.UserState[typeof(AttemptCaller)];
}
