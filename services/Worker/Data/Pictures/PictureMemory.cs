namespace Cluster.Worker.Data.Pictures;

/// <summary>The memory that the pictures of all loader threads take at once, kept below a limit.</summary>
/// <remarks>
/// A thread waits until its picture fits. One that holds a part of its picture must not wait for others that do the same: so one thread at
/// a time may go beyond the limit, and never waits while it does. It is also how a picture that is larger than the limit is decoded: no
/// other one goes beyond it meanwhile.
/// </remarks>
public sealed class PictureMemory(long limitBytes)
{
    private readonly object _gate = new();
    private PictureReservation? _beyond;
    private long _reserved;
    private long _peak;

    /// <summary>The most bytes that have been reserved at once.</summary>
    public long PeakBytes
    {
        get
        {
            lock (_gate)
                return _peak;
        }
    }

    internal void Reserve(PictureReservation by, long bytes)
    {
        lock (_gate)
        {
            while (_reserved + bytes > limitBytes && _beyond is not null && _beyond != by)
                Monitor.Wait(_gate);
            if (_reserved + bytes > limitBytes)
                _beyond = by;
            _reserved += bytes;
            _peak = Math.Max(_peak, _reserved);
        }
    }

    internal void Return(PictureReservation by, long bytes)
    {
        lock (_gate)
        {
            _reserved -= bytes;
            if (_beyond == by)
                _beyond = null;
            Monitor.PulseAll(_gate);
        }
    }
}

/// <summary>What one thread has reserved for the picture at hand.</summary>
internal sealed class PictureReservation
{
    private PictureMemory? _memory;
    private long _bytes;

    /// <summary>Of which memory to reserve from now on; null: of an unlimited one.</summary>
    public void BeginWith(PictureMemory? memory)
    {
        End();
        _memory = memory;
    }

    /// <summary>Blocks until there is so much.</summary>
    public void Add(long bytes)
    {
        _memory?.Reserve(this, bytes);
        _bytes += bytes;
    }

    public void End()
    {
        _memory?.Return(this, _bytes);
        (_memory, _bytes) = (null, 0);
    }
}
