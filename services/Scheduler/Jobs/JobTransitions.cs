using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Telemetry;

namespace Cluster.Scheduler.Jobs;

/// <summary>Tells of what has become of jobs, once it is stored: the log, the metrics, who watches.</summary>
internal sealed partial class JobTransitions(JobFeed feed, ILogger<JobTransitions> logger)
{
    /// <param name="events">None: something else of the job has changed.</param>
    public void Tell(JobId job, IEnumerable<JobEventRow> events)
    {
        foreach (var transition in events)
            Note(job, transition.FromState, transition.ToState, transition.Reason);
        feed.Publish(job);
    }

    public void Tell(JobId job, JobState from, JobState to, string reason)
    {
        Note(job, from, to, reason);
        feed.Publish(job);
    }

    private void Note(JobId job, JobState from, JobState to, string reason)
    {
        LogBecame(job, from, to, reason);
        SchedulerTelemetry.Transitions.Add(1, new KeyValuePair<string, object?>("to", to.Word()));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId}: {From} → {To}: {Reason}")]
    private partial void LogBecame(JobId jobId, JobState from, JobState to, string reason);
}
