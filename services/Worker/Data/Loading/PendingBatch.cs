using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>How a pass over a part sees its samples.</summary>
/// <param name="Part">Where they are.</param>
/// <param name="Renderer">Makes floats of them.</param>
/// <param name="Visit">What they are looked at for.</param>
public sealed record BatchPass(ImagePart Part, ISampleRenderer Renderer, Visit Visit);

/// <summary>A batch whose rows several threads fill.</summary>
internal sealed class PendingBatch
{
    private readonly TaskCompletionSource whole = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BatchPass pass;
    private readonly BatchSamples samples;
    private int rowsLeft;

    public PendingBatch(BatchPass pass, BatchSamples samples)
    {
        this.pass = pass;
        this.samples = samples;
        rowsLeft = samples.Samples.Length;
        Batch = new HostBatch(samples.Samples.Length, samples.GlobalSize, pass.Renderer.SampleElements);
        if (rowsLeft == 0)
            whole.SetResult(); // a last batch with fewer samples than ranks
    }

    public HostBatch Batch { get; }

    /// <summary>Done once every row is filled; the first fault of a row otherwise.</summary>
    public Task Whole => whole.Task;

    public void Render(int row, PictureBuffers buffers)
    {
        try
        {
            var sample = samples.Samples.Span[row];
            var elements = pass.Renderer.SampleElements;
            pass.Renderer.Render(pass.Part, sample, pass.Visit, buffers, Batch.Images.Slice(row * elements, elements));
            Batch.Labels[row] = pass.Part.Label(sample);
        }
        catch (Exception e)
        {
            whole.TrySetException(e); // thrown again where the batch is missed
        }

        if (Interlocked.Decrement(ref rowsLeft) == 0)
            whole.TrySetResult();
    }
}
