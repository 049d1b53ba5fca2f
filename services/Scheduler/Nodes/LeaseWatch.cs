using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>Declares nodes lost whose leases have run out, if only they could have renewed them: as <see cref="LeaseRule"/> says.</summary>
internal sealed partial class LeaseWatch(
    LeaseStore leases, SchedulerStore schedulers, LeaseRenewals renewals, NodeStore nodes, ReconcileSignal signal,
    IOptions<NodeOptions> options, IOptions<SiloOptions> silo, ILogger<LeaseWatch> logger)
{
    /// <summary>When the last look began; null before the first.</summary>
    private DateTimeOffset? _lastLook;

    /// <summary>When the first look began since when none failed or came late.</summary>
    private DateTimeOffset? _hereSince;
    private LeaseExtension _lastExtension;
    private bool _storeFailed;

    /// <summary>Of the schedulers that are here it is the one that tells what all would tell alike.</summary>
    public bool IsFirst { get; private set; }

    /// <summary>One look: find who was here, decide, and either extend all leases or declare lost who did not renew.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var set = options.Value;
        var failed = renewals.TakeFailure() || _storeFailed;
        // Until this look has succeeded.
        _storeFailed = true;
        var (now, others) = await schedulers.SeenAsync(silo.Value.Address, cancellationToken);
        var verdict = LeaseRule.Judge(
            new LookFindings(now - _lastLook, failed, (now - _hereSince) ?? TimeSpan.Zero, others), set);
        // As of the look's beginning: a pause within a look does no harm.
        if (verdict.Extension == LeaseExtension.None)
            await ExpireAsync(now, cancellationToken);
        else
            await ExtendAsync(verdict, cancellationToken);
        foreach (var other in others.Where(o => o.SeenAgo > set.LeaseDuration))
            await EndSessionsAsync(other, cancellationToken);
        (_lastLook, _lastExtension, _storeFailed) = (now, verdict.Extension, false);
        if (verdict.IsInterruption)
            _hereSince = now;
        if (now - _hereSince > set.LongestSchedulerAbsence && others.Exists(o => o.SeenAgo.Duration() > set.LongestSchedulerAbsence))
            await schedulers.ForgetAsync(set.LongestSchedulerAbsence, cancellationToken);
        IsFirst = others.TrueForAll(
            other => other.SeenAgo > set.LongestAbsence || string.CompareOrdinal(silo.Value.Address, other.Address) < 0);
    }

    /// <summary>The scheduler stops. Agents that talked to it have a full term to find another; the others need not wait for it.</summary>
    public async Task LeaveAsync(CancellationToken cancellationToken)
    {
        await leases.ExtendAsync(options.Value.LeaseDuration, cancellationToken);
        await schedulers.LeaveAsync(silo.Value.Address, cancellationToken);
    }

    /// <summary>Declares lost whose lease had run out at a time, and wakes the jobs that were there.</summary>
    public async Task ExpireAsync(DateTimeOffset asOf, CancellationToken cancellationToken)
    {
        foreach (var (node, name) in await leases.ExpireAsync(asOf, cancellationToken))
        {
            LogLost(node, name, options.Value.LeaseDuration);
            foreach (var job in await nodes.HoldersAsync(node, cancellationToken))
                signal.Touch(job);
        }
    }

    /// <summary>What a scheduler that is away holds locked would keep the ranks of its attempts waiting for it at every other.</summary>
    private async Task EndSessionsAsync(SchedulerSighting scheduler, CancellationToken cancellationToken)
    {
        var ended = await schedulers.EndSessionsAsync(scheduler.Address, cancellationToken);
        if (ended > 0)
            LogSessionsEnded(ended, scheduler.Address, scheduler.SeenAgo);
    }

    private async Task ExtendAsync(LeaseVerdict verdict, CancellationToken cancellationToken)
    {
        var extended = await leases.ExtendAsync(options.Value.LeaseDuration, cancellationToken);
        SchedulerTelemetry.LeasesExtended.Add(extended, new KeyValuePair<string, object?>("reason", verdict.Code));
        // Once for as long as it goes on.
        if (verdict.Extension == _lastExtension)
            return;
        if (verdict.Extension == LeaseExtension.SchedulerAway)
            LogAway(verdict.Because);
        else
            LogExtended(verdict.Because, options.Value.LeaseDuration);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node {NodeId} ({Name}) is lost: it did not renew its lease of {Lease}")]
    private partial void LogLost(NodeId nodeId, string name, TimeSpan lease);

    [LoggerMessage(Level = LogLevel.Information, Message = "All leases run {Lease} from now, since {Reason}: nodes could not renew them")]
    private partial void LogExtended(string reason, TimeSpan lease);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Ended {Count} database sessions of the scheduler at {Address}, last seen {SeenAgo} ago: what it held locked is free")]
    private partial void LogSessionsEnded(int count, string address, TimeSpan seenAgo);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "No node is declared lost until all schedulers are back, or have been away for six leases, since {Reason}")]
    private partial void LogAway(string reason);
}
