using System.Diagnostics.Metrics;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Access;

/// <summary>Says in the log that callers are being refused: a wrong token in a file, or somebody who guesses.</summary>
public sealed partial class RefusalLog
{
    // Who guesses does so as often as it can; the log is not to grow with it.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Counter<long> _refused;
    private readonly TimeProvider _time;
    private readonly ILogger<RefusalLog> _logger;
    private DateTimeOffset _silentUntil;
    private int _unsaid;

    public RefusalLog(IMeterFactory meters, TimeProvider time, ILogger<RefusalLog> logger)
    {
        _refused = meters.Create(SchedulerTelemetry.Name)
            .CreateCounter<long>("scheduler.calls.refused", "{call}", "Calls refused for want of a token, or of its scope.");
        (_time, _logger) = (time, logger);
    }

    /// <summary>Counts a refusal and logs it, or counts it to the next line if there was one in the last ten seconds.</summary>
    /// <param name="call">What was called.</param>
    /// <param name="peer">The caller's address.</param>
    /// <param name="reason">As the caller is told; it holds no token.</param>
    public void Refused(string call, string? peer, string reason)
    {
        _refused.Add(1);
        int unsaid;
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            if (now < _silentUntil)
            {
                _unsaid++;
                return;
            }

            _silentUntil = now + Interval;
            (unsaid, _unsaid) = (_unsaid, 0);
        }

        LogRefused(call, peer, reason, unsaid);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused {Call} from {Peer}: {Reason} ({Unsaid} more since the last such line)")]
    private partial void LogRefused(string call, string? peer, string reason, int unsaid);
}
