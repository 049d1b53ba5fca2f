using System.Collections.Concurrent;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>A batch whose rows several threads fill.</summary>
internal sealed class PendingBatch
{
    private readonly TaskCompletionSource _whole = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BatchPass _pass;
    private readonly BatchSamples _samples;
    private readonly ConcurrentDictionary<int, string> _broken = [];
    private int _rowsLeft;

    public PendingBatch(BatchPass pass, BatchSamples samples)
    {
        _pass = pass;
        _samples = samples;
        _rowsLeft = samples.Samples.Length;
        Batch = pass.NewBatch(samples);
        if (_rowsLeft == 0)
            _whole.SetResult(); // a last batch with fewer samples than ranks
    }

    public HostBatch Batch { get; }

    /// <summary>Done once every row is filled; the first fault of a row otherwise.</summary>
    public Task Whole => _whole.Task;

    public void Render(int row, PictureBuffers buffers)
    {
        try
        {
            var rendered = _pass.Render(_samples.Samples.Span[row], buffers, Batch, row, out var fault);
            Batch.Labels[row] = _pass.Part.Label(rendered);
            if (fault is not null)
                _broken[row] = fault;
        }
        catch (Exception e)
        {
            _whole.TrySetException(e); // thrown again where the batch is missed
        }

        if (Interlocked.Decrement(ref _rowsLeft) > 0)
            return;
        Batch.Broken = [.. _broken.OrderBy(pair => pair.Key).Select(pair => pair.Value)];
        _whole.TrySetResult();
    }
}
