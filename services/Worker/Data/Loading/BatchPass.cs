using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>How a pass over a part sees its samples.</summary>
/// <param name="Part">Where they are.</param>
/// <param name="Renderer">Makes floats of them.</param>
/// <param name="Visit">What they are looked at for.</param>
/// <param name="MaxBroken">Samples whose pictures may be broken.</param>
public sealed record BatchPass(ImagePart Part, ISampleRenderer Renderer, Visit Visit, int MaxBroken = 0)
{
    public int SampleElements => Renderer.Views(Visit) * Renderer.ViewElements;

    /// <summary>
    /// Renders a sample or, where its picture is broken, the next whole one of the part, beginning again behind its end: a function of the
    /// data alone, the same in every epoch and on every rank.
    /// </summary>
    /// <param name="sample">Its index.</param>
    /// <param name="buffers">The calling thread's.</param>
    /// <param name="output">Of <see cref="SampleElements"/>.</param>
    /// <param name="fault">What is wrong with the sample's own picture; null if nothing is.</param>
    /// <returns>Index of the sample that was rendered.</returns>
    internal int Render(int sample, PictureBuffers buffers, Span<float> output, out string? fault)
    {
        fault = null;
        for (var tried = 0; ; tried++)
        {
            var candidate = tried == 0 ? sample : (sample + tried) % Part.Count;
            try
            {
                Renderer.Render(Part, candidate, Visit, buffers, output);
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
}
