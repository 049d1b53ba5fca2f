using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Api;

/// <summary>Calls to grains that may find their state overtaken.</summary>
internal static class GrainCall
{
    // The grain reads its state again before the next call, so one repetition suffices unless activations keep moving.
    private const int Tries = 3;

    public static Task RetryAsync(Func<Task> call) => RetryAsync(async () =>
    {
        await call();
        return true;
    });

    public static async Task<T> RetryAsync<T>(Func<Task<T>> call)
    {
        for (var tried = 1; ; tried++)
        {
            try
            {
                return await call();
            }
            catch (StaleStateException) when (tried < Tries)
            {
                // Again, on what the other activation wrote.
            }
        }
    }
}
