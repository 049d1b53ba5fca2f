namespace Cluster.Worker.Parallel;

/// <summary>
/// One forward, one backward (1F1B): the order of a stage's passes in Narayanan et al. 2019, "PipeDream", §3.2, flushed at the end of every
/// step as in their "Memory-efficient pipeline-parallel DNN training" of 2020, arXiv:2006.09503, §3.2.
/// </summary>
/// <remarks>
/// A stage first makes as many forward passes as there are stages behind it, then one forward and one backward in turn, and drains: it
/// never keeps the activations of more than <c>stages − stage</c> micro-batches, however many there are. Backward passes come in the
/// micro-batches' order, which is that of gradient accumulation on one device.
/// </remarks>
internal static class PipelineSchedule
{
    /// <param name="stage">From 0.</param>
    /// <param name="stages">Of the pipeline.</param>
    /// <param name="microBatches">Of the step.</param>
    public static IEnumerable<StagePass> Of(int stage, int stages, int microBatches)
    {
        var ahead = Math.Min(stages - stage - 1, microBatches);
        for (var forward = 0; forward < ahead; forward++)
            yield return new StagePass(IsForward: true, forward);
        for (var backward = 0; backward < microBatches; backward++)
        {
            if (backward + ahead < microBatches)
                yield return new StagePass(IsForward: true, backward + ahead);
            yield return new StagePass(IsForward: false, backward);
        }
    }
}

/// <summary>A micro-batch, by its number in the step, on its way through a stage.</summary>
internal readonly record struct StagePass(bool IsForward, int MicroBatch);
