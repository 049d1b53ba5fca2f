using Cluster.Contracts;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.EndToEnd.Tests;

/// <summary>What every test does with a job.</summary>
internal static class JobExtensions
{
    public static async Task<Job> SubmitAsync(this LocalCluster cluster, string yaml, CancellationToken cancellationToken) =>
        (await cluster.Jobs.SubmitJobAsync(
            new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml }, cancellationToken: cancellationToken)).Job;

    /// <summary>Watches until the job is as wanted; a final state that is not wanted fails with its reason and the log's end.</summary>
    public static Task<Job> WaitAsync(
        this LocalCluster cluster, string jobId, Func<Job, bool> wanted, CancellationToken cancellationToken)
    {
        return Patience.BoundAsync(UntilWantedAsync, () => cluster.FindingsAsync(jobId), cancellationToken);

        async Task<Job> UntilWantedAsync(CancellationToken token)
        {
            using var call = cluster.Jobs.WatchJob(new WatchJobRequest { JobId = jobId }, cancellationToken: token);
            Job? last = null;
            await foreach (var message in call.ResponseStream.ReadAllAsync(token))
            {
                last = message.Job;
                if (wanted(last))
                    return last;
                if (last.State.IsFinal())
                    break;
            }

            throw new InvalidOperationException($"job is {last?.State}: {last?.Reason}\n{await cluster.LogAsync(jobId, token)}");
        }
    }

    public static Task<Job> WaitForSuccessAsync(this LocalCluster cluster, string jobId, CancellationToken cancellationToken) =>
        cluster.WaitAsync(jobId, job => job.State == JobState.Succeeded, cancellationToken);

    public static async Task<IReadOnlyList<JobEvent>> EventsAsync(
        this LocalCluster cluster, string jobId, CancellationToken cancellationToken) =>
        (await cluster.Jobs.GetJobAsync(new GetJobRequest { JobId = jobId }, cancellationToken: cancellationToken)).Events;

    /// <summary>One series, as (step, value) in the order it arrives.</summary>
    public static async Task<IReadOnlyList<(long Step, double Value)>> SeriesAsync(
        this LocalCluster cluster, string jobId, string name, CancellationToken cancellationToken)
    {
        using var call = cluster.Runs.StreamMetrics(
            new StreamMetricsRequest { JobId = jobId, Names = { name } }, cancellationToken: cancellationToken);
        var points = new List<(long, double)>();
        await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            points.AddRange(message.Points.Select(point => (point.Step, point.Value)));
        }

        return points;
    }

    public static async Task<string> LogAsync(this LocalCluster cluster, string jobId, CancellationToken cancellationToken)
    {
        using var call = cluster.Jobs.StreamLogs(new StreamLogsRequest { JobId = jobId, Tail = 60 }, cancellationToken: cancellationToken);
        var lines = new List<string>();
        await foreach (var message in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            lines.AddRange(message.Lines.Select(line => $"{line.Attempt}/{line.Rank} {line.Text}"));
        }

        return string.Join('\n', lines);
    }
}
