using System.Threading.Channels;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;

namespace Cluster.Scheduler.Models;

/// <summary>
/// Finds out what memory waiting jobs will take, beside all calls; a job is placed once that is known, or known not to come.
/// </summary>
/// <remarks>
/// What has been found out by the time that one write is over is stored by the next, together. Who begins holds a claim on the job's due
/// work: where this process ends before it is done, the claim runs out and another scheduler begins again.
/// </remarks>
internal sealed partial class ForecastWork(
    MemoryForecast forecast, ForecastStore store, JobFeed feed, ReconcileSignal signal, TimeProvider time, ILogger<ForecastWork> logger)
    : BackgroundService
{
    private readonly Dictionary<JobId, Task> _asking = [];
    private readonly Channel<(JobId Job, JobSpec Spec, DateTimeOffset Until)> _awaited =
        Channel.CreateUnbounded<(JobId, JobSpec, DateTimeOffset)>(new UnboundedChannelOptions { SingleReader = true });

    private readonly Channel<(JobId Job, MemoryEstimate? Memory)> _found =
        Channel.CreateUnbounded<(JobId, MemoryEstimate?)>(new UnboundedChannelOptions { SingleReader = true });

    /// <summary>Asks on behalf of a job that is stored; does nothing if that goes on already.</summary>
    /// <param name="until">It is placed without a forecast from then on.</param>
    public void Begin(JobId job, JobSpec spec, DateTimeOffset until) => _awaited.Writer.TryWrite((job, spec, until));

    /// <summary>Takes up jobs that wait, whoever began with them.</summary>
    public async Task ResumeAsync(IReadOnlyDictionary<JobId, DateTimeOffset> until, CancellationToken cancellationToken)
    {
        foreach (var (job, spec) in await store.SpecsAsync([.. until.Keys], cancellationToken))
            Begin(job, spec, until[job]);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var settling = SettleAsync(stoppingToken);
        try
        {
            await foreach (var (job, spec, until) in _awaited.Reader.ReadAllAsync(stoppingToken))
            {
                lock (_asking)
                {
                    if (_asking.TryAdd(job, Task.CompletedTask))
                        _asking[job] = AskAsync(job, spec, until, stoppingToken);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What is not stored is asked for again, by another scheduler or by this one when it is back.
        }

        await Task.WhenAll([settling, .. Asking()]);
    }

    private Task[] Asking()
    {
        lock (_asking)
            return [.. _asking.Values];
    }

    private async Task AskAsync(JobId job, JobSpec spec, DateTimeOffset until, CancellationToken cancellationToken)
    {
        // Off the caller's lock.
        await Task.Yield();
        try
        {
            _found.Writer.TryWrite((job, await FindAsync(spec, until, cancellationToken)));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
        catch (Exception fault)
        {
            LogNotForecast(fault, job);
            _found.Writer.TryWrite((job, null));
        }
        finally
        {
            lock (_asking)
                _asking.Remove(job);
        }
    }

    private async Task<MemoryEstimate?> FindAsync(JobSpec spec, DateTimeOffset until, CancellationToken cancellationToken)
    {
        while (true)
        {
            var found = await forecast.AskAsync(spec, Left(until), cancellationToken);
            if (found.NextAgent is not { } nextAgent)
                return found.Memory;
            try
            {
                // Right after the scheduler's start there is nobody to ask yet.
                await nextAgent.WaitAsync(Left(until), time, cancellationToken);
            }
            catch (TimeoutException)
            {
                return null;
            }
        }
    }

    private TimeSpan Left(DateTimeOffset until) => until - time.GetUtcNow() is { Ticks: > 0 } left ? left : TimeSpan.Zero;

    private async Task SettleAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await _found.Reader.WaitToReadAsync(cancellationToken))
            {
                var found = new List<(JobId Job, MemoryEstimate? Memory)>();
                while (_found.Reader.TryRead(out var each))
                    found.Add(each);
                await TrySettleAsync(found, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    /// <summary>A write that fails is made again when the claims on these jobs have run out.</summary>
    private async Task TrySettleAsync(List<(JobId Job, MemoryEstimate? Memory)> found, CancellationToken cancellationToken)
    {
        try
        {
            await store.SettleAsync(found, cancellationToken);
            foreach (var (job, _) in found)
                feed.Publish(job);
            signal.Place();
        }
        catch (Exception fault) when (fault is not OperationCanceledException)
        {
            LogNotStored(fault, found.Count);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "What memory job {JobId} will take cannot be told; it is placed without that")]
    private partial void LogNotForecast(Exception fault, JobId jobId);

    [LoggerMessage(Level = LogLevel.Error, Message = "What memory {Jobs} jobs will take could not be stored; it is asked for again")]
    private partial void LogNotStored(Exception fault, int jobs);
}
