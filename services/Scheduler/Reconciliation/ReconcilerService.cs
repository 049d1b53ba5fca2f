using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Hosting;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Reconciliation;

/// <summary>Runs the reconciler: a pass every few seconds, and at once what grains ask for.</summary>
/// <remarks>
/// A touch may wait for a slow agent. So touches run beside the loop, at most one a job, and are all awaited before the service ends.
/// </remarks>
internal sealed partial class ReconcilerService(
    Reconciler reconciler, ReconcileSignal signal, IHostApplicationLifetime lifetime, IOptions<ReconcileOptions> options, TimeProvider time,
    ILogger<ReconcilerService> logger)
    : BackgroundService
{
    // Between two passes that due work asks for, so that many jobs' times that are close to each other cost no pass each.
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(50);

    // Between two placement cycles: a burst of submits costs a hundred of them a second, and a job that comes alone waits for nothing.
    private static readonly TimeSpan CycleGap = TimeSpan.FromMilliseconds(10);

    private readonly Dictionary<JobId, Task> _touching = [];
    private readonly Dictionary<JobId, long> _again = [];
    private bool _place;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            // A launch waits for an agent's answer only for so long, and agents cannot register before.
            await lifetime.StartedAsync(stoppingToken);
            var (due, gap) = (Task.CompletedTask, Task.CompletedTask);
            var asked = signal.Requests.WaitToReadAsync(stoppingToken).AsTask();
            while (true)
            {
                if (due.IsCompleted)
                {
                    DateTimeOffset? next = null;
                    await AttemptAsync(async () => next = await reconciler.PassAsync(BeginTouch, stoppingToken));
                    due = Task.Delay(Pause(next), time, stoppingToken);
                }

                if (_place && gap.IsCompleted)
                {
                    _place = false;
                    await AttemptAsync(() => reconciler.PlaceAsync(BeginTouch));
                    // By the machine's own clock, since it is about its load.
                    gap = Task.Delay(CycleGap, stoppingToken);
                }

                await (_place ? Task.WhenAny(due, asked, gap) : Task.WhenAny(due, asked));
                stoppingToken.ThrowIfCancellationRequested();
                if (asked.IsCompleted)
                {
                    await AnswerSignalsAsync();
                    asked = signal.Requests.WaitToReadAsync(stoppingToken).AsTask();
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }

        await Task.WhenAll(RunningTouches());
    }

    private TimeSpan Pause(DateTimeOffset? next)
    {
        var (left, longest) = (next - time.GetUtcNow() ?? options.Value.Interval, options.Value.Interval);
        return left > longest ? longest : left < ShortestPause ? ShortestPause : left;
    }

    private async Task AnswerSignalsAsync()
    {
        while (signal.Requests.TryRead(out var job))
        {
            if (job is { } id)
                await BeginTouch(id, 0);
            else
                _place = true;
        }
    }

    /// <summary>Starts a touch without waiting for it; a job that is being touched is touched once more afterwards.</summary>
    private Task BeginTouch(JobId job, long version)
    {
        lock (_touching)
        {
            if (!_touching.TryAdd(job, Task.CompletedTask))
                _again[job] = Math.Max(version, _again.GetValueOrDefault(job));
            else
                _touching[job] = TouchAsync(job, version);
        }

        return Task.CompletedTask;
    }

    private async Task TouchAsync(JobId job, long version)
    {
        // Off the caller's lock.
        await Task.Yield();
        while (true)
        {
            await reconciler.TouchAsync(job, version);
            lock (_touching)
            {
                if (_again.Remove(job, out version))
                    continue;
                _touching.Remove(job);
                return;
            }
        }
    }

    private Task[] RunningTouches()
    {
        lock (_touching)
            return [.. _touching.Values];
    }

    /// <summary>A pass that fails, say because Postgres is away, is logged; the next one comes all the same.</summary>
    private async Task AttemptAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogPassFailed(failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A reconciler pass failed; the next one is due soon")]
    private partial void LogPassFailed(Exception failure);
}
