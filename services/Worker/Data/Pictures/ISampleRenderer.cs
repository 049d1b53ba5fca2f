namespace Cluster.Worker.Data.Pictures;

/// <summary>
/// Turns a sample's picture into the floats that a network sees: augmentation, normalisation, size. Safe from any thread.
/// </summary>
public interface ISampleRenderer
{
    /// <summary>Floats of one view of a sample, (C, inputSize, inputSize).</summary>
    int ViewElements { get; }

    /// <summary>How many views of every sample such a visit gives.</summary>
    int Views(Visit visit);

    /// <summary>Writes a sample's views, one after the other.</summary>
    /// <param name="part">Where the sample is.</param>
    /// <param name="sample">Its index there.</param>
    /// <param name="visit">What it is looked at for.</param>
    /// <param name="buffers">The calling thread's.</param>
    /// <param name="output">As long as all views together.</param>
    void Render(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<float> output);

    /// <summary>Of the data set: what <see cref="Render"/> does and <see cref="RenderLevels"/> leaves to others.</summary>
    ChannelNormalization Normalization { get; }

    /// <summary>
    /// As <see cref="Render"/> up to the normalisation, for a device that does this at less than it costs to receive floats.
    /// </summary>
    /// <param name="part">Where the sample is.</param>
    /// <param name="sample">Its index there.</param>
    /// <param name="visit">What it is looked at for.</param>
    /// <param name="buffers">The calling thread's.</param>
    /// <param name="output">Levels, 0 to 255, of all views together.</param>
    /// <param name="shift">What is to be added to each channel of the sample, as a share of 255.</param>
    void RenderLevels(ImagePart part, int sample, Visit visit, PictureBuffers buffers, Span<byte> output, Span<double> shift);
}

/// <summary>What a sample is looked at for.</summary>
/// <param name="TrainingEpoch">From 0; null for evaluation, which sees a sample always alike.</param>
public readonly record struct Visit(int? TrainingEpoch)
{
    public static Visit Evaluation => default;
}
