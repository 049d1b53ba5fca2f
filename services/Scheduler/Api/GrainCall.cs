using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Api;

/// <summary>Calls to grains that may find their state overtaken.</summary>
internal static class GrainCall
{
    // The grain reads its state again before the next call, so one repetition suffices unless activations keep moving.
    private const int Tries = 3;

    public static async Task RetryAsync(Func<Task> call)
    {
        for (var tried = 1; ; tried++)
        {
            try
            {
                await call();
                return;
            }
            catch (StaleStateException) when (tried < Tries)
            {
                // Again, on what the other activation wrote.
            }
        }
    }
}
