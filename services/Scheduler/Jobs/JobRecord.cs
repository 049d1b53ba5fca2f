using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>A job with its last attempt: what the job's grain holds in memory and writes back as one.</summary>
/// <remarks>After a failed write it may differ from what is stored, and must be dropped.</remarks>
internal sealed class JobRecord
{
    private readonly List<JobEventRow> _newEvents = [];

    public required JobRow Job { get; init; }

    /// <summary>Null before the first.</summary>
    public AttemptRow? Attempt { get; private set; }

    /// <summary>The attempt's devices, in rank order.</summary>
    public IReadOnlyList<DeviceGrantRow> Grants { get; private set; } = [];

    /// <summary>The attempt is not stored yet.</summary>
    public bool AttemptIsNew { get; private set; }

    public IReadOnlyList<JobEventRow> NewEvents => _newEvents;

    public JobId Id => new(Job.Id);

    public void Load(AttemptRow attempt, IReadOnlyList<DeviceGrantRow> grants) => (Attempt, Grants) = (attempt, grants);

    public void Open(AttemptRow attempt, IReadOnlyList<DeviceGrantRow> grants)
    {
        (Attempt, Grants, AttemptIsNew) = (attempt, grants, true);
        Job.Attempt = attempt.Number;
    }

    /// <summary>Moves the job, with its one event.</summary>
    /// <exception cref="InvalidOperationException">There is no such transition: a bug.</exception>
    public void Become(JobState state, string reason, DateTimeOffset now)
    {
        if (!Job.State.CanBecome(state))
            throw new InvalidOperationException($"job {Id} cannot become {state} from {Job.State}");
        _newEvents.Add(new JobEventRow
        {
            JobId = Job.Id,
            Sequence = ++Job.LastEvent,
            Time = now,
            FromState = Job.State,
            ToState = state,
            Reason = reason,
            Attempt = Job.Attempt,
        });
        Job.State = state;
        Job.Reason = reason;
        if (state == JobState.Running)
            Job.StartedAt ??= now;
        if (state.IsFinal())
            Job.FinishedAt = now;
    }

    public void Saved()
    {
        AttemptIsNew = false;
        _newEvents.Clear();
    }
}
