using System.Diagnostics.CodeAnalysis;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;

namespace Cluster.Scheduler.Jobs;

/// <summary>A job with its last attempt: what the job's grain holds in memory and writes back as one.</summary>
/// <remarks>After a failed write it may differ from what is stored, and must be dropped.</remarks>
internal sealed class JobRecord
{
    private readonly List<JobEventRow> _newEvents = [];
    private JobRow _storedJob;
    private AttemptRow? _storedAttempt;
    private List<DeviceGrantRow> _storedGrants;

    /// <param name="attempt">Null before the first.</param>
    /// <param name="grants">The attempt's, in rank order.</param>
    public JobRecord(JobRow job, AttemptRow? attempt, IReadOnlyList<DeviceGrantRow> grants)
    {
        (Job, Attempt, Grants) = (job, attempt, grants);
        NoteStored();
    }

    public JobRow Job { get; }

    public AttemptRow? Attempt { get; }

    public IReadOnlyList<DeviceGrantRow> Grants { get; }

    public IReadOnlyList<JobEventRow> NewEvents => _newEvents;

    public JobId Id => new(Job.Id);

    /// <summary>Each row as it is stored, a copy, and as it is to be; most are the same.</summary>
    public IEnumerable<(object Stored, object Now)> Rows() =>
    [
        (_storedJob.Copy(), Job), .. Attempt is null ? [] : new (object, object)[] { (_storedAttempt!.Copy(), Attempt) },
        .. _storedGrants.Zip(Grants, (stored, now) => ((object)stored.Copy(), (object)now)),
    ];

    /// <summary>Moves the job, with its one event.</summary>
    /// <param name="code">One of <see cref="ReasonCodes"/>, or empty.</param>
    /// <exception cref="InvalidOperationException">There is no such transition: a bug.</exception>
    public void Become(JobState state, string reason, DateTimeOffset now, string code = "")
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
        (Job.Reason, Job.ReasonCode) = (reason, code);
        if (state == JobState.Running)
            Job.StartedAt ??= now;
        // When it is taken up again, others may have been waiting longer for the devices that it was to go on with.
        if (state == JobState.Paused && Attempt is not null)
            (Attempt.NextNodes, Attempt.NextDevices) = (null, null);
        if (state.IsFinal())
            Job.FinishedAt = now;
    }

    public void Saved()
    {
        _newEvents.Clear();
        NoteStored();
    }

    [MemberNotNull(nameof(_storedJob), nameof(_storedGrants))]
    private void NoteStored() =>
        (_storedJob, _storedAttempt, _storedGrants) = (Job.Copy(), Attempt?.Copy(), [.. Grants.Select(grant => grant.Copy())]);
}
