using Cluster.Contracts;

namespace Cluster.Scheduler.Changes;

/// <summary>Changes that wait to be told to other schedulers: of each job one entry, however often something became of it.</summary>
internal sealed class JobChangeOutbox(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _filled = new(0, 1);

    // Guid.Empty: of whatever job.
    private Dictionary<Guid, PendingChange> _pending = [];

    /// <param name="job">Null: of whatever job.</param>
    public void Add(JobId? job, JobChange what) => Add([new PendingChange(job, what, time.GetTimestamp())]);

    /// <summary>Puts back what could not be told.</summary>
    public void Add(IEnumerable<PendingChange> changes)
    {
        lock (_gate)
        {
            foreach (var change in changes)
            {
                var key = change.Job?.Value ?? Guid.Empty;
                _pending[key] = _pending.TryGetValue(key, out var known)
                    ? known with { What = known.What | change.What, Since = Math.Min(known.Since, change.Since) }
                    : change;
            }

            if (_pending.Count > 0 && _filled.CurrentCount == 0)
                _filled.Release();
        }
    }

    /// <summary>All there are, as soon as there are any.</summary>
    public async Task<IReadOnlyCollection<PendingChange>> TakeAsync(CancellationToken cancellationToken)
    {
        await _filled.WaitAsync(cancellationToken);
        lock (_gate)
        {
            var taken = _pending;
            _pending = [];
            return taken.Values;
        }
    }
}

/// <param name="Job">Null: whatever job.</param>
/// <param name="Since">When it was published, as the process's clock counts.</param>
internal sealed record PendingChange(JobId? Job, JobChange What, long Since);
