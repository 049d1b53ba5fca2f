using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Loading;

/// <summary>Makes batches ready ahead of the training thread, on threads of its own, and hands them out in their order.</summary>
/// <remarks>For one consumer. A fault of a thread is thrown by the <see cref="TryTake"/> that meets its batch.</remarks>
public sealed class BatchPrefetcher : IDisposable
{
    /// <summary>Two hide an uneven renderer; more only hold memory.</summary>
    private const int BatchesAhead = 2;

    private readonly Channel<PendingBatch> _inOrder = Channel.CreateBounded<PendingBatch>(BatchesAhead);
    private readonly Channel<(PendingBatch Batch, int Row)> _work = Channel.CreateUnbounded<(PendingBatch Batch, int Row)>();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly BatchPass _pass;
    private readonly Task _scheduling;
    private readonly LoaderThreads _wanted;
    private readonly TimeProvider _time;
    private readonly List<Thread> _threads = [];
    private long? _takenAt; // the batch before; null: there is none

    /// <param name="pass">What to render, and how.</param>
    /// <param name="batches">In the order in which they are taken.</param>
    /// <param name="threads">That render; at least 1.</param>
    public BatchPrefetcher(BatchPass pass, IEnumerable<BatchSamples> batches, int threads)
        : this(pass, batches, new LoaderThreads(threads, threads), TimeProvider.System)
    {
    }

    /// <param name="pass">What to render, and how.</param>
    /// <param name="batches">In the order in which they are taken.</param>
    /// <param name="threads">That render.</param>
    /// <param name="time">For measuring.</param>
    public BatchPrefetcher(BatchPass pass, IEnumerable<BatchSamples> batches, LoaderThreads threads, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads.Count, 1, nameof(threads));
        (_pass, _wanted, _time) = (pass, threads, time);
        _scheduling = Task.Run(() => ScheduleAsync(batches, _abandoned.Token));
        for (var thread = 0; thread < threads.Count; thread++)
            StartThread();
    }

    /// <summary>That make batches ready now.</summary>
    internal int Threads => _threads.Count;

    /// <summary>Broken pictures of the batches taken so far; more than the pass allows are thrown by <see cref="TryTake"/>.</summary>
    public long TotalBroken { get; private set; }

    /// <summary>Time that <see cref="TryTake"/> has waited because the next batch was not ready.</summary>
    public TimeSpan TotalWait { get; private set; }

    /// <summary>The next batch, which the caller disposes, or false when all have been taken. Blocks until it is ready.</summary>
    public bool TryTake([NotNullWhen(true)] out HostBatch? batch, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        try
        {
            // The caller is the training thread, which has nothing else to do.
            batch = TakeAsync(cancellationToken).AsTask().GetAwaiter().GetResult();
        }
        finally
        {
            NoteTaken(started);
        }

        if (batch is null)
            return false;
        TotalBroken += batch.Broken.Count;
        if (TotalBroken <= _pass.MaxBroken)
            return true;
        var last = batch.Broken[^1];
        batch.Dispose();
        throw BrokenPictures.TooMany(TotalBroken, _pass.MaxBroken, last);
    }

    /// <summary>What <see cref="TryTake"/> will give next, if that is ready already; still this prefetcher's.</summary>
    public HostBatch? Peek() => _inOrder.Reader.TryPeek(out var pending) && pending.Whole.IsCompletedSuccessfully ? pending.Batch : null;

    /// <summary>Ends the threads and gives back what nobody took.</summary>
    public void Dispose()
    {
        _abandoned.Cancel();
        _scheduling.GetAwaiter().GetResult();
        _threads.ForEach(thread => thread.Join());
        while (_inOrder.Reader.TryRead(out var pending))
            pending.Batch.Dispose();
        _abandoned.Dispose();
    }

    private void StartThread()
    {
        _threads.Add(new Thread(Work) { Name = $"loader {_threads.Count}", IsBackground = true });
        _threads[^1].Start();
    }

    /// <summary>The first batch of a pass is always waited for.</summary>
    private void NoteTaken(long askedAt)
    {
        var now = _time.GetTimestamp();
        var wait = _time.GetElapsedTime(askedAt, now);
        TotalWait += wait;
        if (_takenAt is { } before && _wanted.AddsOne(wait, _time.GetElapsedTime(before, now)))
            StartThread();
        _takenAt = now;
    }

    private async ValueTask<HostBatch?> TakeAsync(CancellationToken cancellationToken)
    {
        while (await _inOrder.Reader.WaitToReadAsync(cancellationToken))
        {
            // Looked at first: a batch stays where Dispose finds it until it is whole.
            if (!_inOrder.Reader.TryPeek(out var pending))
                continue;
            await pending.Whole.WaitAsync(cancellationToken);
            _inOrder.Reader.TryRead(out _);
            return pending.Batch;
        }

        return null;
    }

    /// <summary>Opens batch after batch while there is room; a fault of the order itself ends the pass where it is met.</summary>
    private async Task ScheduleAsync(IEnumerable<BatchSamples> batches, CancellationToken cancellationToken)
    {
        Exception? fault = null;
        try
        {
            foreach (var samples in batches)
            {
                if (!await _inOrder.Writer.WaitToWriteAsync(cancellationToken))
                    break;
                var pending = new PendingBatch(_pass, samples);
                _inOrder.Writer.TryWrite(pending);
                for (var row = 0; row < samples.Samples.Length; row++)
                    _work.Writer.TryWrite((pending, row));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Disposed early: nobody takes the rest.
        }
        catch (Exception e)
        {
            fault = e;
        }

        _work.Writer.Complete();
        _inOrder.Writer.Complete(fault);
    }

    private void Work()
    {
        using var buffers = new PictureBuffers();
        while (_work.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_work.Reader.TryRead(out var item))
            {
                if (!_abandoned.IsCancellationRequested)
                    item.Batch.Render(item.Row, buffers);
            }
        }
    }
}
