using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data;

/// <summary>Labelled pictures in a fixed order: a part of a data set, or of a part.</summary>
/// <remarks>Safe to read from several threads at once, each with buffers of its own.</remarks>
public abstract class ImagePart
{
    public abstract int Count { get; }

    /// <summary>Class of a sample, from 0.</summary>
    public abstract int Label(int sample);

    /// <summary>What people call a class.</summary>
    public virtual string ClassName(int label) => $"{label}";

    /// <summary>What tells a sample from others on every node that has the same data; nothing for one that is made and not read.</summary>
    public virtual SampleIdentity Identity(int sample) => new("", 0);

    /// <summary>Reads a sample's picture into <see cref="PictureBuffers.Picture"/>.</summary>
    /// <param name="sample">From 0.</param>
    /// <param name="buffers">The calling thread's.</param>
    /// <param name="enough">For a picture of the stored size, the share of its pixels a side that is enough: a decoder may shrink it down
    /// to that.</param>
    /// <exception cref="BrokenPictureException">It cannot be read; the message names it.</exception>
    public abstract void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough);

    /// <summary>Samples [start, start + count).</summary>
    public ImagePart Slice(int start, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Count - count);
        return new ImagePartSlice(this, start, count);
    }

    private sealed class ImagePartSlice(ImagePart whole, int start, int count) : ImagePart
    {
        public override int Count => count;

        public override int Label(int sample) => whole.Label(At(sample));

        public override string ClassName(int label) => whole.ClassName(label);

        public override SampleIdentity Identity(int sample) => whole.Identity(At(sample));

        public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough) =>
            whole.Load(At(sample), buffers, enough);

        private int At(int sample)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sample);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sample, count);
            return start + sample;
        }
    }
}

/// <summary>Of a sample.</summary>
/// <param name="Name">Below its part; empty for one that has none.</param>
/// <param name="Content">The file's bytes; for pictures in memory a hash of the pixels; -1 for what cannot be looked at.</param>
public readonly record struct SampleIdentity(string Name, long Content);
