using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Workspaces;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>What a caller sees, submits and changes, as the workspaces have it.</summary>
internal sealed class WorkspaceRule(WorkspaceDirectory workspaces, JobLookup jobs, CheckpointQueries checkpoints)
{
    public Visibility Seen(ServerCallContext context)
    {
        var caller = Caller.Of(context);
        return workspaces.Of(caller.Owner, caller.Scope, caller.Workspaces);
    }

    /// <summary>Whether the caller may change what lies in a workspace: its own, or anybody's as an operator there or of all.</summary>
    public bool MayChange(Caller caller, string owner, string workspace) => caller.MayEnter(workspace)
        && (caller.MayChangeWhatIsOwnedBy(owner) || workspaces.MemberOf(workspace, caller.Owner) is { Role: Scope.Operator });

    /// <summary>Refuses a job that the caller may not submit, or that names what it does not see.</summary>
    public async Task CheckAsync(JobSpec spec, ServerCallContext context)
    {
        CheckLimits(Caller.Of(context), spec.Workspace, spec.Priority, spec.Queue);
        var seen = Seen(context);
        if (seen.IsAll)
            return;
        foreach (var job in spec.After.Select(dependency => dependency.Job).Append(spec.InitFrom?.Job ?? ""))
        {
            if (job.Length > 0)
                await jobs.FindAsync(job, seen, context.CancellationToken);
        }

        if (spec.InitFrom is { Checkpoint.Length: > 0 } from && IdPrefix.TryParse(from.Checkpoint, out var prefix)
            && (await checkpoints.FindAsync(prefix, seen, context.CancellationToken)).Count == 0)
        {
            throw new CheckpointNotFoundException($"no checkpoint has an id that begins with {prefix}");
        }
    }

    /// <summary>
    /// Refuses what is in a workspace that the token is not for, or beyond the caller's limits there; operators of the cluster have none.
    /// </summary>
    /// <param name="priority">Null: it is not asked for.</param>
    /// <param name="queue">Null: it is not asked for.</param>
    public void CheckLimits(Caller caller, string workspace, int? priority, string? queue)
    {
        if (!caller.MayEnter(workspace))
            throw Denied($"the token is not for workspace {workspace}, only for {string.Join(", ", caller.Workspaces!)}");
        if (caller.Scope is Scope.Operator or Scope.Admin || !workspaces.IsClosed(workspace))
            return;
        if (workspaces.MemberOf(workspace, caller.Owner) is not { Role: Scope.Submitter or Scope.Operator } member)
            throw Denied($"workspace {workspace} is closed, and {caller.Owner} may not submit into it; ask for the role submitter there");
        if (priority > member.HighestPriority)
            throw Denied($"priority is {priority}, but {caller.Owner} may give {member.HighestPriority} at most in workspace {workspace}");
        var named = string.IsNullOrEmpty(queue) && queue is not null ? QueueNames.Default : queue;
        if (named is not null && member.Queues is { } queues && !queues.Contains(named, StringComparer.Ordinal))
        {
            throw Denied(
                $"queue is {named}, but {caller.Owner} may use {string.Join(", ", queues)} only in workspace {workspace}");
        }
    }

    private static RpcException Denied(string why) => new(new Status(StatusCode.PermissionDenied, why));
}
