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
}

/// <summary>What a sample is looked at for.</summary>
/// <param name="TrainingEpoch">From 0; null for evaluation, which sees a sample always alike.</param>
public readonly record struct Visit(int? TrainingEpoch)
{
    public static Visit Evaluation => default;
}
