using System.Collections.Concurrent;

namespace Cluster.Worker.Collectives;

/// <summary>Runs a group's asynchronous operations one after another beside the thread that computes.</summary>
internal sealed class CommunicationThread(string name) : IDisposable
{
    private readonly BlockingCollection<Task> queue = [];
    private Thread? thread;
    private Task last = Task.CompletedTask;

    public Task Run(Action operation)
    {
        if (thread is null)
        {
            thread = new Thread(Work) { Name = name, IsBackground = true };
            thread.Start();
        }

        last = new Task(operation);
        queue.Add(last);
        return last;
    }

    /// <summary>Waits for what has been queued. A fault is the business of whoever holds the task, so it is not thrown here.</summary>
    public void Drain()
    {
        if (!last.IsCompleted)
            ((IAsyncResult)last).AsyncWaitHandle.WaitOne();
    }

    public void Dispose()
    {
        queue.CompleteAdding();
        thread?.Join();
        queue.Dispose();
    }

    private void Work()
    {
        foreach (var operation in queue.GetConsumingEnumerable())
            operation.RunSynchronously();
    }
}
