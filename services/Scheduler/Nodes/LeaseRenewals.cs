using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Nodes;

/// <summary>
/// Renews leases for the heartbeats that arrive at this scheduler, many in one statement: those that come while one is on its way go with
/// the next.
/// </summary>
internal sealed class LeaseRenewals(LeaseStore store, IOptions<NodeOptions> options, TimeProvider time)
{
    private readonly Lock _gate = new();
    private List<Waiting> _waiting = [];
    private Task _sending = Task.CompletedTask;
    private int _failed;

    /// <returns>Null when the node is lost, gone, or of another incarnation.</returns>
    /// <exception cref="StoreUnavailableException">It may or may not have been renewed; the agent tries again.</exception>
    public Task<RenewedLease?> RenewAsync(LeaseHolder holder)
    {
        var waiting = new Waiting(holder);
        lock (_gate)
        {
            _waiting.Add(waiting);
            if (_sending.IsCompleted)
                _sending = SendAsync();
        }

        return waiting.Renewed.Task;
    }

    /// <summary>Whether a renewal has failed since this was asked last.</summary>
    public bool TakeFailure() => Interlocked.Exchange(ref _failed, 0) != 0;

    /// <summary>Until nobody waits. Whatever goes wrong is told to those who wait.</summary>
    private async Task SendAsync()
    {
        // Off the caller's lock, and so that those who come in the same moment go together.
        await Task.Yield();
        while (Next() is { Count: > 0 } batch)
        {
            try
            {
                var renewed = await RenewAsync([.. batch.Select(w => w.Holder).Distinct()]);
                batch.ForEach(w => w.Renewed.SetResult(renewed.GetValueOrDefault(w.Holder)));
            }
            catch (Exception fault)
            {
                Interlocked.Exchange(ref _failed, 1);
                batch.ForEach(w => w.Renewed.SetException(fault));
            }
        }
    }

    private async Task<Dictionary<LeaseHolder, RenewedLease>> RenewAsync(LeaseHolder[] holders)
    {
        // As long as agents wait. A statement that is stuck must not hold up those that come after it.
        using var patience = new CancellationTokenSource(options.Value.HeartbeatTimeout, time);
        try
        {
            var renewed = await store.RenewAsync(holders, options.Value.LeaseDuration, patience.Token);
            SchedulerTelemetry.LeaseRenewals.Add(renewed.Count);
            foreach (var lease in renewed.Values)
                SchedulerTelemetry.HeartbeatLag.Record(lease.Ago.TotalSeconds);
            return renewed;
        }
        catch (OperationCanceledException late)
        {
            throw new StoreUnavailableException(
                $"Postgres did not renew {(holders.Length == 1 ? "a lease" : $"{holders.Length} leases")} in a third of the term", late);
        }
    }

    private List<Waiting> Next()
    {
        lock (_gate)
        {
            var next = _waiting;
            _waiting = [];
            // Whoever comes from here on starts another.
            if (next.Count == 0)
                _sending = Task.CompletedTask;
            return next;
        }
    }

    private sealed record Waiting(LeaseHolder Holder)
    {
        public TaskCompletionSource<RenewedLease?> Renewed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
