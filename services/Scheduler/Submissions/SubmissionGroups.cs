using System.Threading.Channels;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Telemetry;
using Npgsql;

namespace Cluster.Scheduler.Submissions;

/// <summary>
/// Stores submissions in groups, one commit after the other: whoever arrives while one goes on is stored by the next, with all others that
/// have arrived by then, and is answered after it. A single caller waits for nobody; many share a commit's cost.
/// </summary>
internal sealed class SubmissionGroups(SubmissionStore store) : BackgroundService
{
    // Some megabytes of specs at most; an experiment that has more jobs is a group by itself.
    private const int JobsTogether = 1000;

    // Those who wait hold a call open each; more than that is no use to anybody.
    private const int MostWaiting = 10_000;

    private readonly Channel<Waiting> _waiting = Channel.CreateBounded<Waiting>(
        new BoundedChannelOptions(MostWaiting) { SingleReader = true });

    /// <summary>Stored whole, or not at all, whatever the caller does meanwhile.</summary>
    /// <returns>False when it was stored before.</returns>
    /// <exception cref="InitialCheckpointException">A checkpoint that one of the jobs begins with is gone.</exception>
    public async Task<bool> StoreAsync(Submission submission)
    {
        var waiting = new Waiting(submission);
        try
        {
            await _waiting.Writer.WriteAsync(waiting);
        }
        catch (ChannelClosedException)
        {
            throw new SchedulerStoppingException();
        }

        return await waiting.Stored;
    }

    /// <summary>Those that wait are stored yet.</summary>
    public override Task StopAsync(CancellationToken cancellationToken)
    {
        _waiting.Writer.TryComplete();
        return base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (await _waiting.Reader.WaitToReadAsync(CancellationToken.None))
            await StoreAsync(NextGroup());
    }

    private List<Waiting> NextGroup()
    {
        var (group, jobs, ids) = (new List<Waiting>(), 0, new HashSet<Guid>());
        while (_waiting.Reader.TryPeek(out var next) && (jobs == 0 || jobs + next.Submission.Jobs.Length <= JobsTogether)
            && ids.Add(next.Key) && _waiting.Reader.TryRead(out _))
        {
            group.Add(next);
            jobs += next.Submission.Jobs.Length;
        }

        return group;
    }

    /// <summary>In one transaction if it can be; one that cannot be stored fails alone.</summary>
    private async Task StoreAsync(List<Waiting> group)
    {
        try
        {
            var stored = await store.StoreAsync(group.ConvertAll(waiting => waiting.Submission), CancellationToken.None);
            SchedulerTelemetry.SubmitGroup.Record(group.Count);
            SchedulerTelemetry.Submits.Add(stored.Count);
            foreach (var waiting in group)
                waiting.Answer(stored.Contains(waiting.Submission.Jobs[0].Id.Value));
        }
        catch (Exception fault) when (group.Count > 1 && fault is PostgresException or InitialCheckpointException or UnknownQueueException)
        {
            await StoreAsync(group[..(group.Count / 2)]);
            await StoreAsync(group[(group.Count / 2)..]);
        }
        catch (Exception fault)
        {
            foreach (var waiting in group)
                waiting.Fail(fault);
        }
    }

    private sealed class Waiting(Submission submission)
    {
        private readonly TaskCompletionSource<bool> _stored = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Submission Submission => submission;

        /// <summary>The same for a repetition of the same request.</summary>
        public Guid Key => submission.Experiment?.Id ?? submission.Jobs[0].Id.Value;

        public Task<bool> Stored => _stored.Task;

        public void Answer(bool isNew) => _stored.SetResult(isNew);

        public void Fail(Exception fault) => _stored.SetException(fault);
    }
}
