namespace Orleans.Runtime;

/// <summary>
/// Runs the turns of one activation one after the other on the thread pool. A plain <c>await</c> in grain code resumes here, because the
/// awaiter captures <see cref="TaskScheduler.Current"/>.
/// </summary>
internal sealed class ActivationScheduler(Activation owner) : TaskScheduler, IThreadPoolWorkItem
{
    // After so many turns the thread goes back to the pool, so that one busy grain cannot starve the others.
    private const int TurnsPerQuantum = 64;

    private readonly Lock _gate = new();
    private readonly Queue<Task> _turns = new();
    private bool _scheduled;

    public override int MaximumConcurrencyLevel => 1;

    /// <summary>Starts an asynchronous operation as a turn. The caller's <see cref="AsyncLocal{T}"/>s do not follow it.</summary>
    public void Post(Func<Task> operation)
    {
        using var noFlow = SuppressFlow();
        // The operations posted here report their own failures, and their task is of no further use.
        _ = Task.Factory.StartNew(operation, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this);
    }

    /// <summary>Until disposed, what this thread starts does not inherit its <see cref="AsyncLocal{T}"/>s; null where that is so already.</summary>
    internal static AsyncFlowControl? SuppressFlow() => ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();

    void IThreadPoolWorkItem.Execute()
    {
        var previous = RuntimeContext.Current;
        RuntimeContext.Current = owner;
        try
        {
            for (var turn = 0; turn < TurnsPerQuantum; turn++)
            {
                Task next;
                lock (_gate)
                {
                    if (_turns.Count == 0)
                    {
                        _scheduled = false;
                        return;
                    }

                    next = _turns.Dequeue();
                }

                TryExecuteTask(next);
            }
        }
        finally
        {
            RuntimeContext.Current = previous;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    protected override void QueueTask(Task task)
    {
        lock (_gate)
        {
            _turns.Enqueue(task);
            if (_scheduled)
                return;
            _scheduled = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
    }

    // Inside a turn a fresh task may run at once: it is still the same turn.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && ReferenceEquals(RuntimeContext.Current, owner) && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_gate)
            return _turns.ToArray();
    }
}
