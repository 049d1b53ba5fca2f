using System.Collections.Concurrent;

namespace Cluster.Worker.Collectives;

/// <summary>Runs a group's asynchronous operations one after another beside the thread that computes.</summary>
internal sealed class CommunicationThread(string name) : IDisposable
{
    private readonly BlockingCollection<Task> _queue = [];
    private Thread? _thread;
    private Task _last = Task.CompletedTask;

    public Task Run(Action operation)
    {
        if (_thread is null)
        {
            _thread = new Thread(Work) { Name = name, IsBackground = true };
            _thread.Start();
        }

        _last = new Task(operation);
        _queue.Add(_last);
        return _last;
    }

    /// <summary>Waits for what has been queued. A fault is the business of whoever holds the task, so it is not thrown here.</summary>
    public void Drain()
    {
        if (!_last.IsCompleted)
            ((IAsyncResult)_last).AsyncWaitHandle.WaitOne();
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread?.Join();
        _queue.Dispose();
    }

    private void Work()
    {
        foreach (var operation in _queue.GetConsumingEnumerable())
            operation.RunSynchronously();
    }
}
