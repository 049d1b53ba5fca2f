using Cluster.Worker.Checkpoints;

namespace Cluster.Worker.Training;

/// <summary>
/// The reading of stored weights, after which the ranks go on together. How long it takes differs with their nodes' way to the store by
/// more than an exchange waits: so they meet first, and wait for each other as long as each gets further.
/// </summary>
internal static class WeightsRead
{
    private const string RendezvousName = "weights";

    /// <summary>A call on every rank.</summary>
    /// <param name="context">The rank's.</param>
    /// <param name="weights">That are read.</param>
    /// <param name="read">Reads what the rank holds of them.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<T> ByAllAsync<T>(
        TrainerContext context, IWeights weights, Func<Task<T>> read, CancellationToken cancellationToken)
    {
        T result;
        using (new SignsOfLife(context, RendezvousName, () => weights.BytesRead, Describe, cancellationToken))
            result = await read();
        if (context.Launch.WorldSize > 1)
            await TrainingGroup.MeetAsync(context, RendezvousName, address: "", cancellationToken);
        return result;
    }

    private static string Describe(long bytes) => FormattableString.Invariant($"reading weights: {bytes / 1e6:F1} MB so far");
}
