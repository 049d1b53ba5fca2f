namespace Cluster.Worker.Data.Loading;

/// <summary>Which samples make up which batch.</summary>
/// <param name="Samples">Indices within the part, those of this rank only.</param>
/// <param name="GlobalSize">Samples of all ranks together.</param>
public readonly record struct BatchSamples(ReadOnlyMemory<int> Samples, int GlobalSize);

/// <summary>
/// Cuts an order of visits into batches. A function of its arguments alone, so every rank finds its own share without asking.
/// </summary>
public static class BatchSchedule
{
    /// <summary>
    /// Training batches: all of the same size. What is left at the epoch's end is dropped: a smaller batch would weigh its samples more,
    /// and the next epoch's order brings others to the end.
    /// </summary>
    /// <param name="order">The epoch's.</param>
    /// <param name="globalBatchSize">Samples of all ranks together.</param>
    /// <param name="share">Positions within a batch of so many samples that this rank takes.</param>
    /// <param name="firstBatch">Skips those that a resumed run has done.</param>
    public static IEnumerable<BatchSamples> Training(int[] order, int globalBatchSize, Func<int, Range> share, int firstBatch)
    {
        for (var batch = firstBatch; (batch + 1) * globalBatchSize <= order.Length; batch++)
            yield return Cut(order.AsMemory(batch * globalBatchSize, globalBatchSize), share);
    }

    /// <summary>Evaluation batches: every sample counts, so the last batch may be smaller.</summary>
    public static IEnumerable<BatchSamples> Evaluation(int[] order, int globalBatchSize, Func<int, Range> share)
    {
        for (var first = 0; first < order.Length; first += globalBatchSize)
            yield return Cut(order.AsMemory(first, Math.Min(globalBatchSize, order.Length - first)), share);
    }

    private static BatchSamples Cut(ReadOnlyMemory<int> batch, Func<int, Range> share) => new(batch[share(batch.Length)], batch.Length);
}
