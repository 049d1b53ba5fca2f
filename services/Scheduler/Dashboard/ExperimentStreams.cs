using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;

namespace Cluster.Scheduler.Dashboard;

/// <summary>What an experiment's page shows, as server-sent events.</summary>
public sealed class ExperimentStreams(ExperimentWatch watch, MetricStore metrics)
{
    // A message of a few hundred kilobytes; a browser parses it without a stutter.
    private const int PointsPerMessage = 4000;

    private static readonly string[] Curves =
    [
        MetricNames.TrainLoss, MetricNames.TrainAccuracy, MetricNames.ValidationLoss, MetricNames.ValidationAccuracy,
    ];

    /// <summary>Events: "experiment" with the jobs that changed, then "metrics" with the new points of each, and "end" when no more will come.</summary>
    public async IAsyncEnumerable<SseItem<string>> ExperimentAsync(ExperimentId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var cursors = new Dictionary<string, long>();
        await using var updates = watch.UpdatesAsync(id, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await NextAsync(updates) is { } update)
        {
            if (update.IsStopping)
                yield break;
            yield return new SseItem<string>(JsonFormatter.Default.Format(update.Message), "experiment");
            // A job's progress changes with every report of its trainers, so a job that has not changed has no new points.
            foreach (var job in update.Message!.Jobs)
            {
                var page = await metrics.ReadAsync(JobId.Parse(job.Id), Curves, afterStep: 0, cursors.GetValueOrDefault(job.Id), cancellationToken);
                cursors[job.Id] = page.Cursor;
                foreach (var points in page.Points.Chunk(PointsPerMessage))
                    yield return new SseItem<string>(Json(job.Id, points), "metrics");
            }
        }

        yield return new SseItem<string>("{}", "end");
    }

    private static async Task<Update?> NextAsync(IAsyncEnumerator<WatchExperimentResponse> updates)
    {
        try
        {
            return await updates.MoveNextAsync() ? new Update(updates.Current, IsStopping: false) : null;
        }
        catch (SchedulerStoppingException)
        {
            // Without an end: the browser connects anew.
            return new Update(null, IsStopping: true);
        }
    }

    private static string Json(string job, MetricPoint[] points) => JsonSerializer.Serialize(new
    {
        job,
        points = points.Select(point => new { name = point.Name, step = point.Step, epoch = point.Epoch, value = point.Value }),
    });

    private sealed record Update(WatchExperimentResponse? Message, bool IsStopping);
}
