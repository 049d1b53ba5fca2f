using Cluster.Contracts.V1;
using Cluster.Scheduler.Workspaces;

namespace Cluster.Scheduler.Webhooks;

/// <summary>What a webhook is told: an event without the jobs that its owner does not see.</summary>
internal sealed class WebhookWords(JobMentions mentions, WorkspaceDirectory workspaces)
{
    public Task<WebhookEvent> OfAsync(Delivery delivery, CancellationToken cancellationToken)
    {
        // What the owner's token may is not kept; only an operator's hears of everyone.
        var (owner, only) = delivery.Reach;
        var seen = workspaces.Of(owner ?? "", owner is null ? Scope.Operator : Scope.Submitter, only);
        return mentions.HideAsync(delivery.Event, seen, cancellationToken);
    }
}
