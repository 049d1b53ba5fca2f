using System.Threading.Channels;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Worker.Training;

/// <summary>Sends a rank's metrics and milestones to its agent in batches, so that a step costs no round trip.</summary>
/// <remarks>
/// Safe from any thread. A fault of sending is thrown by the next call: the agent spools, so a fault here means that the
/// attempt is stale or the agent gone.
/// </remarks>
public sealed class TrainerReporter : IAsyncDisposable
{
    // A person watching sees half a second as live; 512 points are a few kilobytes.
    private static readonly TimeSpan FlushInterval = TimeSpan.FromMilliseconds(500);
    private const int MaxPointsPerReport = 512;

    private readonly ITrainerLink _link;
    private readonly TimeProvider _timeProvider;
    private readonly Lock _gate = new();
    private readonly Channel<TaskCompletionSource?> _wakeUps = Channel.CreateUnbounded<TaskCompletionSource?>();
    private readonly Task _sending;
    private readonly ITimer _timer;
    private ReportRequest _next = new();
    private long _sequence;

    public TrainerReporter(ITrainerLink link, TimeProvider timeProvider)
    {
        _link = link;
        _timeProvider = timeProvider;
        _sending = Task.Run(SendAllAsync);
        _timer = timeProvider.CreateTimer(_ => _wakeUps.Writer.TryWrite(null), null, FlushInterval, FlushInterval);
    }

    /// <summary>One point of a series, by its name in <see cref="Contracts.MetricNames"/>.</summary>
    public void Metric(string name, long step, int epoch, double value)
    {
        var point = new MetricPoint
        {
            Name = name,
            Step = step,
            Epoch = epoch,
            Value = value,
            Time = Timestamp.FromDateTimeOffset(_timeProvider.GetUtcNow()),
        };
        var full = false;
        Edit(next => full = AddPoint(next, point));
        if (full)
            _wakeUps.Writer.TryWrite(null);
    }

    /// <summary>The newest figures; rank 0 only. An older one that is not sent yet is replaced.</summary>
    public void Progress(Progress progress) => Edit(next => next.Progress = progress);

    /// <summary>Rank 0, once, before its first step.</summary>
    public void Environment(RunEnvironment environment) => Edit(next => next.Environment = environment);

    /// <summary>Each rank, when its training loop begins.</summary>
    public void Started()
    {
        Edit(next => next.Started = true);
        _wakeUps.Writer.TryWrite(null);
    }

    /// <summary>A step hangs, or goes on. Never throws: the loop's own reports tell of a fault.</summary>
    public void Stall(StepStall stall)
    {
        lock (_gate)
            _next.Stall = stall;
        _wakeUps.Writer.TryWrite(null);
    }

    /// <summary>Ranks that are slow for long; rank 0 only.</summary>
    public void Paces(RankPaces paces) => Edit(next => next.Paces = paces);

    /// <summary>Returns when all that was reported before is with the agent.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_wakeUps.Writer.TryWrite(done))
            await _sending;
        else
            await (await Task.WhenAny(done.Task, _sending)).WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        _wakeUps.Writer.TryWrite(null);
        _wakeUps.Writer.TryComplete();
        await _sending;
    }

    private static bool AddPoint(ReportRequest next, MetricPoint point)
    {
        next.Points.Add(point);
        return next.Points.Count >= MaxPointsPerReport;
    }

    private void Edit(Action<ReportRequest> edit)
    {
        if (_sending.IsFaulted)
            _sending.GetAwaiter().GetResult();
        lock (_gate)
            edit(_next);
    }

    private async Task SendAllAsync()
    {
        await foreach (var waiter in _wakeUps.Reader.ReadAllAsync())
        {
            ReportRequest report;
            lock (_gate)
            {
                report = _next;
                _next = new ReportRequest();
            }

            if (report.CalculateSize() > 0)
            {
                report.Sequence = ++_sequence;
                await _link.ReportAsync(report, CancellationToken.None);
            }

            waiter?.TrySetResult();
        }
    }
}
