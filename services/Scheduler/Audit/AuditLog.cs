using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Audit;

/// <summary>Writes entries behind the calls that they are about, many at once.</summary>
/// <remarks>
/// An entry is in the database a moment after its call: a scheduler that is killed in that moment loses it. While Postgres is away entries
/// wait, and once there are too many, so do those who call with a token; of those without one they are counted only.
/// </remarks>
internal sealed partial class AuditLog : BackgroundService
{
    // Of callers that nobody knows: so many at once, and one a second after that. They are not to fill the disk.
    internal const int Burst = 50;

    private const int MostWaiting = 10_000;
    private const int MostAtOnce = 1000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Channel<AuditRow> _rows = Channel.CreateBounded<AuditRow>(MostWaiting);
    private readonly Lock _gate = new();
    private readonly AuditStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger<AuditLog> _logger;
    private readonly Counter<long> _lost;
    private double _allowance = Burst;
    private DateTimeOffset _allowedAt;
    private int _leftOut;

    public AuditLog(AuditStore store, IMeterFactory meters, TimeProvider time, ILogger<AuditLog> logger)
    {
        (_store, _time, _logger) = (store, time, logger);
        _lost = meters.Create(SchedulerTelemetry.Name)
            .CreateCounter<long>("scheduler.audit.lost", "{entry}", "Entries of the audit that could not be stored.");
    }

    /// <summary>Of a caller with a person's token.</summary>
    public async ValueTask AddAsync(AuditRow row, CancellationToken cancellationToken)
    {
        try
        {
            await _rows.Writer.WriteAsync(row, cancellationToken);
        }
        catch (Exception end) when (end is ChannelClosedException or OperationCanceledException)
        {
            // The scheduler stops, or the caller waits no longer; the call itself is over.
            _lost.Add(1);
        }
    }

    /// <summary>Of anyone else: what is too much is counted in the next one.</summary>
    public void AddIfRoom(Func<int, AuditRow> row)
    {
        int leftOut;
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            _allowance = Math.Min(Burst, _allowance + (now - _allowedAt).TotalSeconds);
            _allowedAt = now;
            if (_allowance < 1)
            {
                _leftOut++;
                return;
            }

            _allowance--;
            (leftOut, _leftOut) = (_leftOut, 0);
        }

        if (!_rows.Writer.TryWrite(row(leftOut)))
            _lost.Add(1 + leftOut);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _rows.Writer.TryComplete();
        await base.StopAsync(cancellationToken);
        // One that is stopped as soon as it is started has not begun.
        await WriteAsync(new CancellationToken(canceled: true));
    }

    /// <summary>Not until it is told to stop: until it has written what there is.</summary>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => WriteAsync(stoppingToken);

    private async Task WriteAsync(CancellationToken stoppingToken)
    {
        while (await _rows.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var rows = new List<AuditRow>();
            while (rows.Count < MostAtOnce && _rows.Reader.TryRead(out var row))
                rows.Add(row);
            await StoreAsync(rows, stoppingToken);
        }
    }

    private async Task StoreAsync(List<AuditRow> rows, CancellationToken stoppingToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await _store.AppendAsync(rows, CancellationToken.None);
                return;
            }
            catch (StoreUnavailableException fault) when (!stoppingToken.IsCancellationRequested)
            {
                if (tries == 1)
                    LogWaiting(fault);
            }
            catch (Exception fault)
            {
                // The scheduler stops, or another try would fail alike; then those that follow must not wait for it.
                _lost.Add(rows.Count);
                LogLost(fault, rows.Count);
                return;
            }

            await Task.Delay(Pause, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The audit cannot be written; its entries wait until Postgres answers again")]
    private partial void LogWaiting(Exception fault);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Entries} entries of the audit are lost")]
    private partial void LogLost(Exception fault, int entries);
}
