using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Runs;
using Google.Protobuf;

namespace Cluster.Scheduler.Dashboard;

/// <summary>What an experiment's page shows, as server-sent events.</summary>
public sealed class ExperimentStreams(ExperimentWatch watch, MetricStore metrics, CurveStore curveStore)
{
    // Of all jobs together for one quantity: what a browser draws without a stutter, and of a single job more than a chart is wide.
    private const int MostPoints = 24_000;
    private const int MostPointsOfAJob = 2_400;

    private static readonly string[] Series =
    [
        MetricNames.TrainLoss, MetricNames.TrainAccuracy, MetricNames.ValidationLoss, MetricNames.ValidationAccuracy,
    ];

    /// <summary>
    /// Events: "experiment" with the jobs that changed, then the new points of each as in <see cref="JobCurves"/>, and "end" when no more
    /// will come.
    /// </summary>
    public async IAsyncEnumerable<SseItem<string>> ExperimentAsync(
        ExperimentId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var curves = new Dictionary<string, JobCurves>();
        await using var updates = watch.UpdatesAsync(id, brief: false, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await NextAsync(updates) is { } update)
        {
            if (update.IsStopping)
                yield break;
            var shown = new WatchExperimentResponse
            {
                Experiment = update.Message!.Experiment,
                Jobs = { update.Message.Jobs.Select(JobSummary.Of) },
            };
            yield return new SseItem<string>(JsonFormatter.Default.Format(shown), "experiment");
            var maxPoints = Math.Clamp(
                MostPoints / Math.Max(1, update.Message.Experiment.States.Sum(count => count.Jobs)), Curve.FewestPoints, MostPointsOfAJob);
            // A job's progress changes with every report of its trainers, so a job that has not changed has no new points.
            foreach (var job in update.Message.Jobs)
            {
                if (!curves.TryGetValue(job.Id, out var jobCurves))
                    curves.Add(job.Id, jobCurves = new JobCurves(metrics, curveStore, Series, maxPoints, ofSeveral: true));
                await foreach (var item in jobCurves.ReadAsync(job, cancellationToken))
                    yield return item;
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

    private sealed record Update(WatchExperimentResponse? Message, bool IsStopping);
}
