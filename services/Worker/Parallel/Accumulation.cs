using System.Diagnostics;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Parallel;

/// <summary>
/// Gradient accumulation: a rank works through its samples of a step in several passes, whose gradients add up to that of all of them.
/// </summary>
/// <remarks>
/// Loss and gradient are the undivided batch's up to the order of sums, since losses are sums over samples and dropped units follow from a
/// sample's place in the global batch. Batch normalisation is the exception: its statistics are those of a pass.
/// </remarks>
internal static class Accumulation
{
    /// <summary>At least one pass, which is empty where the rank has no sample; no more than there are samples.</summary>
    public static IReadOnlyList<(TrainingBatch Batch, SampleRange Samples)> Passes(TrainingBatch batch, SampleRange local)
    {
        if (batch.AccumulationSteps == 1 || local.Count <= 1)
            return [(batch, local)];
        var passes = Math.Min(batch.AccumulationSteps, local.Count);
        return [.. Enumerable.Range(0, passes).Select(pass => Pass(batch, local, Slices.Of(local.Count, passes, pass)))];
    }

    private static (TrainingBatch Batch, SampleRange Samples) Pass(
        TrainingBatch batch, SampleRange local, (int Start, int Count) slice) => (
        batch with { Images = batch.Images.narrow(0, slice.Start, slice.Count), Labels = batch.Labels.narrow(0, slice.Start, slice.Count) },
        new SampleRange(local.Start + slice.Start, slice.Count));
}

/// <summary>Figures and times of a step, added up over its passes.</summary>
internal sealed class PassTotals
{
    private long mark = Stopwatch.GetTimestamp();
    private TimeSpan exchanged;

    public double LossSum { get; private set; }

    public long Correct { get; private set; }

    /// <summary>Without exchanges.</summary>
    public TimeSpan Forward { get; private set; }

    /// <summary>Without exchanges.</summary>
    public TimeSpan Backward { get; private set; }

    /// <param name="exchangedSoFar">Time in exchanges since the step began.</param>
    public void EndForward(TimeSpan exchangedSoFar = default) => Forward += Computed(exchangedSoFar);

    /// <param name="pass">That has ended; null where the rank had no sample, or no loss of it.</param>
    /// <param name="exchangedSoFar">Time in exchanges since the step began.</param>
    public void EndBackward(LocalPass? pass, TimeSpan exchangedSoFar = default)
    {
        Add(pass);
        Backward += Computed(exchangedSoFar);
    }

    /// <summary>The figures of a pass.</summary>
    public void Add(LocalPass? pass)
    {
        var (lossSum, correct) = pass?.Read() ?? default;
        LossSum += lossSum;
        Correct += correct;
    }

    /// <summary>Time since the last end.</summary>
    public TimeSpan Lap()
    {
        var (began, now) = (mark, Stopwatch.GetTimestamp());
        mark = now;
        return Stopwatch.GetElapsedTime(began, now);
    }

    private TimeSpan Computed(TimeSpan exchangedSoFar)
    {
        var exchangedNow = exchangedSoFar - exchanged;
        exchanged = exchangedSoFar;
        return Lap() - exchangedNow;
    }
}
