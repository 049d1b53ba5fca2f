namespace Cluster.Worker.Devices;

/// <summary>
/// Asks GPUs for their figures every second, on a thread of its own: a driver that hangs keeps nobody waiting who wants to know them, and
/// so costs the node no heartbeat.
/// </summary>
internal sealed partial class GpuPoll : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Answers take milliseconds, and a second or two where the driver wakes a card first.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>How long the end of the agent waits for an answer that is still to come.</summary>
    private static readonly TimeSpan LongestEnd = TimeSpan.FromSeconds(2);

    private readonly Func<IReadOnlyDictionary<string, GpuReading>> _read;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly Lock _gate = new();
    private readonly ManualResetEventSlim _ending = new();
    private IReadOnlyDictionary<string, GpuReading> _latest = new Dictionary<string, GpuReading>();
    private long? _askedAt;
    private bool _isSilent;

    /// <param name="read">Asks the driver for the figures of all GPUs, by their numbers.</param>
    /// <param name="timeProvider">By which it is told how long an answer takes.</param>
    /// <param name="logger">Is told when the driver falls silent, and when it answers again.</param>
    public GpuPoll(Func<IReadOnlyDictionary<string, GpuReading>> read, TimeProvider timeProvider, ILogger logger)
    {
        (_read, _timeProvider, _logger) = (read, timeProvider, logger);
        // In the background: a process does not wait at its end for a driver that hangs.
        _thread = new Thread(Ask) { Name = "gpu figures", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Whether the driver held the thread beyond the end of this: it may still write into what it was given.</summary>
    public bool IsStuck { get; private set; }

    /// <summary>The newest figures, by number; none before the first answer. Never waits.</summary>
    /// <returns>With how long the driver has not answered; null while it does.</returns>
    public (IReadOnlyDictionary<string, GpuReading> Readings, TimeSpan? Unanswered) Latest()
    {
        lock (_gate)
        {
            var waited = _askedAt is { } asked ? _timeProvider.GetElapsedTime(asked) : TimeSpan.Zero;
            TimeSpan? unanswered = waited >= Patience ? waited : null;
            if (unanswered is not null && !_isSilent)
                LogSilent(waited.TotalSeconds);
            else if (unanswered is null && _isSilent)
                LogAnswers();
            _isSilent = unanswered is not null;
            return (_latest, unanswered);
        }
    }

    public void Dispose()
    {
        _ending.Set();
        IsStuck = !_thread.Join(LongestEnd);
        if (!IsStuck)
            _ending.Dispose();
    }

    private void Ask()
    {
        do
        {
            lock (_gate)
                _askedAt = _timeProvider.GetTimestamp();
            var readings = _read();
            lock (_gate)
                (_latest, _askedAt) = (readings, null);
        }
        while (!_ending.Wait(Interval));
    }

    [LoggerMessage(LogLevel.Warning,
        "The GPUs' driver has not answered for {Seconds:F0} s; nvidia-smi will not either. Figures of GPUs are those from before")]
    private partial void LogSilent(double seconds);

    [LoggerMessage(LogLevel.Information, "The GPUs' driver answers again")]
    private partial void LogAnswers();
}
