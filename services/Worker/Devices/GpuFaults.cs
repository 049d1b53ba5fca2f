using System.Collections.Concurrent;

namespace Cluster.Worker.Devices;

/// <summary>
/// Counts the faults that the driver tells of cards by number, NVIDIA's "XID": a trainer's own, such as a bad address (13, 31), and the
/// card's, such as memory (48) or the bus (79).
/// </summary>
internal sealed partial class GpuFaults : IDisposable
{
    /// <summary>How long the driver is asked to wait for a fault; what comes is told at once.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(500);

    /// <summary>How long the end of the agent waits for the driver, which may hang.</summary>
    private static readonly TimeSpan LongestEnd = 4 * LongestWait;

    private readonly Nvml _nvml;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<(string Card, int Xid), long> _counts = [];
    private readonly IReadOnlyList<GpuCard> _cards;
    private readonly Thread? _thread;
    private FaultEvents? _events;
    private volatile bool _ending;

    /// <param name="nvml">That tells them.</param>
    /// <param name="cards">To watch.</param>
    /// <param name="logger">Is told each.</param>
    public GpuFaults(Nvml nvml, IReadOnlyList<GpuCard> cards, ILogger logger)
    {
        (_nvml, _logger, _cards) = (nvml, logger, cards);
        if (!TryBegin())
            return;
        _thread = new Thread(Watch) { Name = "gpu faults", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Since the agent started.</summary>
    public IReadOnlyList<(string Card, int Xid, long Count)> All => [.. _counts.Select(pair => (pair.Key.Card, pair.Key.Xid, pair.Value))];

    /// <summary>Whether the driver held the thread beyond the end of this.</summary>
    public bool IsStuck { get; private set; }

    public void Dispose()
    {
        _ending = true;
        IsStuck = _thread?.Join(LongestEnd) == false;
        if (_events is { } events && !IsStuck)
            _nvml.Free(events);
    }

    /// <returns>False: no card tells its faults.</returns>
    private bool TryBegin()
    {
        _events = _nvml.Watch(_cards, out var reason);
        if (reason.Length > 0)
            LogUnwatched(reason);
        return _events is not null;
    }

    private void Watch()
    {
        try
        {
            while (!_ending)
            {
                try
                {
                    if (_nvml.NextXid(_events!, LongestWait) is not var (card, xid))
                        continue;
                    _counts.AddOrUpdate((card, xid), 1, (_, count) => count + 1);
                    LogFault(card, xid);
                }
                catch (GpuLostException lost)
                {
                    _nvml.Free(_events!);
                    // The driver may say it again at once.
                    Thread.Sleep(LongestWait);
                    if (TryBegin())
                        continue;
                    LogBlind(lost.Message);
                    return;
                }
            }
        }
        catch (InvalidOperationException e)
        {
            LogBlind(e.Message);
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Card} has met a fault, XID {Xid}; NVIDIA's list of XID errors says what it means")]
    private partial void LogFault(string card, int xid);

    [LoggerMessage(LogLevel.Information, "Not every GPU tells its faults: {Reason}")]
    private partial void LogUnwatched(string reason);

    [LoggerMessage(LogLevel.Error, "Faults of GPUs are not told any more: {Reason}")]
    private partial void LogBlind(string reason);
}
