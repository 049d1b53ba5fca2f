using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>How a pass over a part sees its samples.</summary>
/// <param name="Part">Where they are.</param>
/// <param name="Renderer">Makes what the network sees of them.</param>
/// <param name="Visit">What they are looked at for.</param>
/// <param name="MaxBroken">Samples whose pictures may be broken.</param>
/// <param name="AsLevels">Whether batches hold bytes that the device is to normalise, a quarter of the floats.</param>
public sealed record BatchPass(ImagePart Part, ISampleRenderer Renderer, Visit Visit, int MaxBroken = 0, bool AsLevels = false)
{
    internal HostBatch NewBatch(BatchSamples samples) => new(
        samples.Samples.Length, samples.GlobalSize, Renderer.Views(Visit), Renderer.ViewElements,
        AsLevels ? Renderer.Normalization : null);

    /// <summary>
    /// Renders a sample or, where its picture is broken, the next whole one of the part, beginning again behind its end: a function of the
    /// data alone, the same in every epoch and on every rank.
    /// </summary>
    /// <param name="sample">Its index.</param>
    /// <param name="buffers">The calling thread's.</param>
    /// <param name="batch">Of this pass.</param>
    /// <param name="row">The sample's in it.</param>
    /// <param name="fault">What is wrong with the sample's own picture; null if nothing is.</param>
    /// <returns>Index of the sample that was rendered.</returns>
    internal int Render(int sample, PictureBuffers buffers, HostBatch batch, int row, out string? fault)
    {
        fault = null;
        for (var tried = 0; ; tried++)
        {
            var candidate = tried == 0 ? sample : (sample + tried) % Part.Count;
            try
            {
                Render(candidate, buffers, batch, row);
                return candidate;
            }
            catch (BrokenPictureException e)
            {
                fault ??= e.Message;
                // So many in a row are all visited in this pass, each by itself: more than the limit for certain.
                if (tried >= MaxBroken || tried + 1 >= Part.Count)
                    throw BrokenPictures.TooMany(tried + 1, MaxBroken, e.Message);
            }
            finally
            {
                buffers.EndSample(); // others may wait for its memory
            }
        }
    }

    private void Render(int sample, PictureBuffers buffers, HostBatch batch, int row)
    {
        var elements = batch.Views * Renderer.ViewElements;
        if (!AsLevels)
        {
            Renderer.Render(Part, sample, Visit, buffers, batch.Images.Slice(row * elements, elements));
            return;
        }

        Span<double> shift = stackalloc double[Renderer.Normalization.Mean.Length];
        Renderer.RenderLevels(Part, sample, Visit, buffers, batch.Levels.Slice(row * elements, elements), shift);
        batch.SetShift(row, shift);
    }
}
