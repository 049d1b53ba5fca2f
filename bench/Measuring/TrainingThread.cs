namespace Cluster.Bench.Measuring;

/// <summary>A thread such as a trainer's.</summary>
internal static class TrainingThread
{
    // Autograd walks a deep net's graph recursively.
    private const int StackBytes = 64 << 20;

    /// <summary>Runs it there.</summary>
    public static Task<T> Run<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                done.SetResult(work());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        }, StackBytes)
        { Name = "training" }.Start();
        return done.Task;
    }
}
