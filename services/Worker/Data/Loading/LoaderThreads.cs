namespace Cluster.Worker.Data.Loading;

/// <summary>How many threads make a rank's batches ready: one more as long as the training thread waits for batches.</summary>
/// <remarks>For that thread, over all its passes. What is in a batch does not depend on it.</remarks>
/// <param name="first">To begin with, at least 1.</param>
/// <param name="most">That it may become.</param>
public sealed class LoaderThreads(int first, int most)
{
    /// <summary>That a wait is looked at over: single batches are uneven.</summary>
    internal const int Batches = 32;

    /// <summary>Of all time. Less may be a busy machine's, and a thread takes from those that compute.</summary>
    internal const double WaitWorthAThread = 0.02;

    private TimeSpan _wait;
    private TimeSpan _time;
    private int _taken;

    public int Count { get; private set; } = first;

    /// <summary>A batch has been taken. True: one more thread is to make batches ready.</summary>
    /// <param name="wait">For the batch.</param>
    /// <param name="sinceLast">Since the one before it was taken.</param>
    internal bool AddsOne(TimeSpan wait, TimeSpan sinceLast)
    {
        (_wait, _time) = (_wait + wait, _time + sinceLast);
        if (++_taken < Batches)
            return false;
        var adds = Count < most && _wait > WaitWorthAThread * _time;
        (_wait, _time, _taken) = (default, default, 0);
        Count += adds ? 1 : 0;
        return adds;
    }
}
