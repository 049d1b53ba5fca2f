using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Hosting;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Declares nodes lost whose leases have run out, if only they could have renewed them.</summary>
/// <remarks>
/// A lease says that a node was heard of. While the scheduler is paused or the store is away nobody is heard of, and that is no node's
/// fault. So the watch looks often, and notes that it was there. A look that comes late, or after one that failed, tells that scheduler or
/// store were away: then every lease gets one full term from now, and none is judged. Whatever makes a look late has that effect: a
/// stopped process, a suspended machine, a stalled store, a clock that was set. The margin: a node that lives renews within a heartbeat's
/// interval, and half of what a lease is longer than that may pass unnoticed. Leases are judged as of the look's beginning, so that a
/// pause within a look does no harm either. Where several schedulers share the nodes, the absence of one counts like the watch's own:
/// agents may still be talking to it.
/// </remarks>
internal sealed partial class LeaseWatch(
    NodeStore nodes, SchedulerStore schedulers, ReconcileSignal signal, IOptions<NodeOptions> options, IOptions<SiloOptions> silo,
    TimeProvider time, ILogger<LeaseWatch> logger)
{
    /// <summary>When the last look began; null before the first, and after one that failed.</summary>
    private DateTimeOffset? _lastLook;
    private bool _waiting;

    /// <summary>One look: renews all leases if a scheduler or the store was away, and otherwise declares lost who did not renew.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var (last, now, set) = (_lastLook, time.GetUtcNow(), options.Value);
        _lastLook = null;
        var away = await schedulers.SeenAsync(
            silo.Value.Address, now, now - set.LongestAbsence, now - set.LongestSchedulerAbsence, cancellationToken);
        var wasHere = last is { } seen && now >= seen && now - seen <= set.LongestAbsence;
        if (wasHere && away.Count == 0)
        {
            await ExpireAsync(now, cancellationToken);
        }
        else
        {
            await nodes.ExtendLeasesAsync(now + set.LeaseDuration, cancellationToken);
            if (!wasHere)
                LogBack(set.LeaseDuration);
            else if (!_waiting)
                LogAway(string.Join(", ", away));
        }

        (_lastLook, _waiting) = (now, away.Count > 0);
    }

    /// <summary>The scheduler stops: the others need not wait for it.</summary>
    public Task LeaveAsync(CancellationToken cancellationToken) => schedulers.LeaveAsync(silo.Value.Address, cancellationToken);

    /// <summary>Declares lost whose lease had run out at a time, and wakes the jobs that were there.</summary>
    public async Task ExpireAsync(DateTimeOffset asOf, CancellationToken cancellationToken)
    {
        foreach (var (node, name) in await nodes.ExpireAsync(asOf, cancellationToken))
        {
            LogLost(node, name, options.Value.LeaseDuration);
            foreach (var job in await nodes.HoldersAsync(node, cancellationToken))
                signal.Touch(job);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node {NodeId} ({Name}) is lost: it did not renew its lease of {Lease}")]
    private partial void LogLost(NodeId nodeId, string name, TimeSpan lease);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "The scheduler has just started, or it or its store was away, so that no node could renew: "
            + "all leases run {Lease} from now")]
    private partial void LogBack(TimeSpan lease);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The scheduler at {Address} is away: no node is declared lost until it is back, or has been away for six leases")]
    private partial void LogAway(string address);
}
