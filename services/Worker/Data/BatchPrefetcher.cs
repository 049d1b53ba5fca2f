using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Cluster.Worker.Data;

/// <summary>Renders batches ahead of the training thread, on a thread of the pool.</summary>
/// <remarks>For one consumer. A fault of rendering is thrown by the <see cref="TryTake"/> that meets it.</remarks>
public sealed class BatchPrefetcher : IDisposable
{
    /// <summary>Two hide an uneven renderer; more only hold memory.</summary>
    private const int BatchesAhead = 2;

    private readonly Channel<HostBatch> _ready = Channel.CreateBounded<HostBatch>(BatchesAhead);
    private readonly CancellationTokenSource _abandoned = new();
    private readonly Task _rendering;

    /// <param name="part">Where the samples are.</param>
    /// <param name="renderer">Turns pixels into floats.</param>
    /// <param name="view">How this pass sees a sample of the part.</param>
    /// <param name="batches">In the order in which they are taken.</param>
    public BatchPrefetcher(ImagePart part, SampleRenderer renderer, Func<int, SampleView> view, IEnumerable<BatchSamples> batches)
    {
        _rendering = Task.Run(() => RenderAsync(part, renderer, view, batches, _abandoned.Token));
    }

    /// <summary>Time that <see cref="TryTake"/> has waited because no batch was ready.</summary>
    public TimeSpan TotalWait { get; private set; }

    /// <summary>The next batch, which the caller disposes, or false when all have been taken. Blocks until one is ready.</summary>
    public bool TryTake([NotNullWhen(true)] out HostBatch? batch, CancellationToken cancellationToken)
    {
        if (_ready.Reader.TryRead(out batch))
            return true;
        var started = Stopwatch.GetTimestamp();
        try
        {
            // The caller is the training thread, which has nothing else to do.
            while (_ready.Reader.WaitToReadAsync(cancellationToken).AsTask().GetAwaiter().GetResult())
            {
                if (_ready.Reader.TryRead(out batch))
                    return true;
            }

            return false;
        }
        finally
        {
            TotalWait += Stopwatch.GetElapsedTime(started);
        }
    }

    /// <summary>Ends the rendering and gives back what nobody took.</summary>
    public void Dispose()
    {
        _abandoned.Cancel();
        _rendering.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Wait();
        while (_ready.Reader.TryRead(out var batch))
            batch.Dispose();
        _abandoned.Dispose();
    }

    private async Task RenderAsync(
        ImagePart part, SampleRenderer renderer, Func<int, SampleView> view, IEnumerable<BatchSamples> batches, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var samples in batches)
            {
                var batch = Render(part, renderer, view, samples);
                try
                {
                    await _ready.Writer.WriteAsync(batch, cancellationToken);
                }
                catch
                {
                    batch.Dispose();
                    throw;
                }
            }

            _ready.Writer.Complete();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _ready.Writer.Complete();
        }
        catch (Exception e)
        {
            _ready.Writer.Complete(e); // thrown again where the batch is missed
        }
    }

    private static HostBatch Render(ImagePart part, SampleRenderer renderer, Func<int, SampleView> view, BatchSamples samples)
    {
        var batch = new HostBatch(samples.Samples.Length, samples.GlobalSize, renderer.SampleElements);
        var sampleBytes = part.Pixels.Length / part.Count;
        var pixels = part.Pixels.Span;
        var labels = part.Labels.Span;
        for (var i = 0; i < batch.Samples; i++)
        {
            var sample = samples.Samples.Span[i];
            renderer.Render(
                pixels.Slice(sample * sampleBytes, sampleBytes), view(sample), batch.Images.Slice(i * renderer.SampleElements, renderer.SampleElements));
            batch.Labels[i] = labels[sample];
        }

        return batch;
    }
}
