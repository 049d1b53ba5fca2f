using System.Collections.Concurrent;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>A batch whose rows several threads fill.</summary>
internal sealed class PendingBatch
{
    private readonly TaskCompletionSource whole = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BatchPass pass;
    private readonly BatchSamples samples;
    private readonly ConcurrentDictionary<int, string> broken = [];
    private int rowsLeft;

    public PendingBatch(BatchPass pass, BatchSamples samples)
    {
        this.pass = pass;
        this.samples = samples;
        rowsLeft = samples.Samples.Length;
        Batch = pass.NewBatch(samples);
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
            var rendered = pass.Render(samples.Samples.Span[row], buffers, Batch, row, out var fault);
            Batch.Labels[row] = pass.Part.Label(rendered);
            if (fault is not null)
                broken[row] = fault;
        }
        catch (Exception e)
        {
            whole.TrySetException(e); // thrown again where the batch is missed
        }

        if (Interlocked.Decrement(ref rowsLeft) > 0)
            return;
        Batch.Broken = [.. broken.OrderBy(pair => pair.Key).Select(pair => pair.Value)];
        whole.TrySetResult();
    }
}
