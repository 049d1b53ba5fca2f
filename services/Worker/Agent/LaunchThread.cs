using System.Collections.Concurrent;

namespace Cluster.Worker.Agent;

/// <summary>The one thread that forks trainers, and that lives as long as the agent.</summary>
/// <remarks>
/// A trainer asks the kernel to die with the <em>thread</em> that forked it, so a thread of the pool would not do. And a process
/// inherits the cores that the forking thread is bound to.
/// </remarks>
internal sealed class LaunchThread : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;

    public LaunchThread()
    {
        _thread = new Thread(Run) { Name = "launch", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Runs <paramref name="fork"/> on the thread, bound to <paramref name="cores"/> (null: unbound).</summary>
    public Task<T> RunAsync<T>(Func<T> fork, IReadOnlyList<int>? cores)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            var all = Libc.ThreadCores();
            try
            {
                if (cores is not null)
                    Libc.BindThread(cores);
                result.SetResult(fork());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
            finally
            {
                if (cores is not null)
                    Libc.BindThread(all);
            }
        });
        return result.Task;
    }

    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _work.Dispose();
    }

    private void Run()
    {
        foreach (var action in _work.GetConsumingEnumerable())
            action();
    }
}
