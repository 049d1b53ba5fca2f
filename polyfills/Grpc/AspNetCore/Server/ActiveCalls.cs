namespace Grpc.AspNetCore.Server;

/// <summary>How many handlers are running, so that tests can tell that an abandoned call left nothing behind.</summary>
internal sealed class ActiveCalls
{
    private readonly Lock gate = new();
    private TaskCompletionSource idle = CompletedSource();

    public int Count { get; private set; }

    public void Enter()
    {
        lock (gate)
        {
            if (Count++ == 0)
                idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public void Leave()
    {
        lock (gate)
        {
            if (--Count == 0)
                idle.SetResult();
        }
    }

    public Task WhenNoneAsync()
    {
        lock (gate)
            return idle.Task;
    }

    private static TaskCompletionSource CompletedSource()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }
}
