using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Scheduler.Jobs;

/// <summary>A person puts the job aside, and takes it up again.</summary>
internal sealed partial class JobGrain
{
    /// <inheritdoc/>
    public Task<bool> PauseAsync(PauseJob command) => ChangeAsync(async record =>
    {
        if (record is null)
            throw JobNotFoundException.For(Id);
        if (IsEnding(record))
            return false;
        if (record.Job is { State: JobState.Paused } or { StoppingTo: JobState.Paused })
            return true;
        record.Job.NotBefore = null;
        await EndAsync(record, JobState.Paused, Reason("paused", command.By, command.Reason));
        return true;
    });

    /// <inheritdoc/>
    public Task<bool> ResumeAsync(string by) => ChangeAsync(async record =>
    {
        if (record is null)
            throw JobNotFoundException.For(Id);
        if (IsEnding(record))
            return false;
        var reason = Reason("resumed", by, "");
        // Whether a trial goes on from where it was to come is its search's to say.
        if (record.Job.State == JobState.Paused && record.Job.TrainedTo == record.Job.TrainUntil)
            return true;
        if (record.Job.State == JobState.Paused)
        {
            Become(record, JobState.Queued, reason);
            // Its forecast may not have come: whoever asked for that may have ended since.
            await SaveAsync(record, nextDue: time.GetUtcNow());
            signal.Place();
        }
        else if (record.Job.StoppingTo == JobState.Paused)
        {
            (record.Job.StoppingTo, record.Job.Reason) = (JobState.Queued, reason);
            await SaveAsync(record);
        }

        return true;
    });

    private static bool IsEnding(JobRecord record) => record.Job.State.IsFinal() || record.Job.StoppingTo?.IsFinal() == true;
}
