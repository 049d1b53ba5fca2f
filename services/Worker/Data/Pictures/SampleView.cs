using Cluster.Models;

namespace Cluster.Worker.Data.Pictures;

/// <summary>
/// Crop offset in pixels (what was at (x + ShiftX, y + ShiftY) comes to (x, y), zeros beyond the edge) and, after it, a mirroring.
/// </summary>
public readonly record struct SampleView(int ShiftX, int ShiftY, bool Flip)
{
    /// <summary>As stored.</summary>
    public static SampleView Plain => default;

    /// <summary>Random crop and flip as a function of (seed, epoch, sample) alone.</summary>
    /// <param name="seed">The job's.</param>
    /// <param name="epoch">From 0.</param>
    /// <param name="sample">Index within the training part.</param>
    /// <param name="cropPadding">Pixels of zero padding on each side before a crop back to the original size (0: no crop).</param>
    /// <param name="flip">Whether to mirror left-right with probability one half.</param>
    public static SampleView Random(ulong seed, int epoch, int sample, int cropPadding, bool flip)
    {
        var key = CounterRandom.Key(seed, CounterRandom.Word("augmentation"), (ulong)epoch, (ulong)sample);
        var positions = (2 * cropPadding) + 1;
        return new SampleView(
            CounterRandom.Below(key, 0, positions) - cropPadding,
            CounterRandom.Below(key, 1, positions) - cropPadding,
            flip && CounterRandom.Below(key, 2, 2) == 1);
    }
}
