using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Submissions;
using Cluster.Search;

namespace Cluster.Scheduler.Searches;

/// <summary>Lets searches decide: reads what has become of their trials, asks shared/Search, and writes what follows.</summary>
/// <remarks>
/// Any scheduler may do it, and several at once: whoever writes second finds another version, and has written nothing. So a trial is
/// neither lost nor made twice, whenever a scheduler dies.
/// </remarks>
internal sealed partial class SearchSteps(
    SearchStore store, UnplaceableTrials unplaceable, SubmissionChecks checks, JobIntake intake, JobTransitions transitions,
    ReconcileSignal signal, IGrainFactory grains, TimeProvider time, ILogger<SearchSteps> logger)
{
    // Each is one more scheduler that was quicker.
    private const int Tries = 10;

    /// <summary>All searches of whose trials there is news. One that fails is looked at again when its claim has run out.</summary>
    public async Task PassAsync(CancellationToken cancellationToken)
    {
        foreach (var (search, putOff) in await store.ClaimAsync(cancellationToken))
        {
            try
            {
                await StepAsync(search, null, putOff, cancellationToken);
            }
            catch (Exception fault) when (!cancellationToken.IsCancellationRequested)
            {
                LogFailed(fault, search);
            }
        }

        await unplaceable.EndAsync(cancellationToken);
    }

    /// <summary>Decides now, under other limits if given.</summary>
    /// <returns>False: it is over or paused, or there is no such search.</returns>
    public Task<bool> StepAsync(ExperimentId id, Func<SearchLimits, SearchLimits>? change, CancellationToken cancellationToken) =>
        StepAsync(id, change, null, cancellationToken);

    private async Task<bool> StepAsync(
        ExperimentId id, Func<SearchLimits, SearchLimits>? change, DateTimeOffset? putOff, CancellationToken cancellationToken)
    {
        for (var tried = 1; ; tried++)
        {
            if (await store.LoadAsync(id, cancellationToken) is not { Row.Phase: SearchPhase.Running } stored)
                return false;
            var decision = await DecideAsync(stored with { PutOff = putOff }, change, cancellationToken);
            if (decision is null)
            {
                if (putOff is { } claimed)
                    await store.SettleAsync(id, claimed, cancellationToken);
                return true;
            }

            if (await store.CommitAsync(decision, cancellationToken) is { } moved)
            {
                await TellAsync(id, decision, moved);
                return true;
            }

            if (tried == Tries)
                throw new StaleStateException($"search {id} has been written by another {Tries} times in a row");
        }
    }

    /// <returns>Null: nothing has changed.</returns>
    private async Task<SearchDecision?> DecideAsync(
        StoredSearch stored, Func<SearchLimits, SearchLimits>? change, CancellationToken cancellationToken)
    {
        var plan = ExperimentFile.ParseSearch(stored.Experiment.Yaml);
        var search = HyperparameterSearch.Restore(plan.Policy, stored.Row.State);
        var before = search.State.Write();
        var actions = new Queue<SearchAction>(change is null ? search.Begin() : search.Change(change(stored.Row.State.Limits)));
        foreach (var report in Reports(stored))
            Enqueue(search.Apply(report));

        var (created, continued, stopped) = (new List<NewTrial>(), new List<TrialMove>(), new List<TrialMove>());
        var epochs = plan.Policy.Rungs[^1];
        while (actions.TryDequeue(out var action))
        {
            switch (action)
            {
                case SearchAction.Create(var trial, var length):
                    if (await MakeAsync(plan, stored.Experiment, trial, cancellationToken) is { } job)
                        created.Add(new NewTrial(job, length));
                    else
                        Enqueue(search.Apply(new TrialReport.Invalid(trial)));
                    break;
                case SearchAction.Continue(var trial, var length):
                    continued.Add(new TrialMove(JobOf(stored.Experiment, trial), length, $"goes on to epoch {length} of {epochs}"));
                    break;
                case SearchAction.Stop(var trial, var why):
                    var at = plan.Policy.Rungs[search.State.Trials[trial].Rung];
                    stopped.Add(new TrialMove(JobOf(stored.Experiment, trial), 0, $"stopped after epoch {at} of {epochs}: {why}"));
                    break;
                default:
                    break;
            }
        }

        var state = search.State;
        return state.Write() == before ? null : new SearchDecision(stored, state, created, continued, stopped);

        void Enqueue(IEnumerable<SearchAction> more)
        {
            foreach (var action in more)
                actions.Enqueue(action);
        }
    }

    private static JobId JobOf(ExperimentRow experiment, int trial) => TrialIds.JobOf(experiment.Owner, experiment.RequestId, trial);

    /// <summary>What the store knows in the search's words, in the order in which it came about.</summary>
    private static IEnumerable<TrialReport> Reports(StoredSearch stored)
    {
        var numbers = Enumerable.Range(0, stored.Row.State.Trials.Length).ToDictionary(trial => JobOf(stored.Experiment, trial));
        foreach (var news in stored.News)
        {
            if (!numbers.TryGetValue(news.Job, out var trial))
                continue;
            yield return news.State switch
            {
                JobState.Paused or JobState.Succeeded => new TrialReport.Reached(trial, news.Length, news.Metric),
                JobState.Failed or JobState.Cancelled when news.IsInvalid => new TrialReport.Invalid(trial),
                _ => new TrialReport.Failed(trial),
            };
        }
    }

    /// <returns>Null: no job can have its settings.</returns>
    private async Task<JobSubmission?> MakeAsync(
        SearchPlan plan, ExperimentRow experiment, int trial, CancellationToken cancellationToken)
    {
        try
        {
            var (variant, spec) = plan.Trial(trial);
            // Jobs wait in order of age and are listed by it: a microsecond, Postgres' finest, keeps them in the order of their numbers.
            var job = JobSubmission.Of(
                experiment.Owner, JobIds.MemberRequest(experiment.RequestId, trial), spec, waitForCapacity: true,
                time.GetUtcNow().AddMicroseconds(trial));
            return await checks.PassAsync(job with { Experiment = new ExperimentId(experiment.Id), Variant = variant }, cancellationToken);
        }
        catch (Exception refusal) when (refusal is JobFileException or InitialCheckpointException or DependencyException)
        {
            LogInvalid(new ExperimentId(experiment.Id), trial, refusal.Message);
            return null;
        }
    }

    private async Task TellAsync(ExperimentId id, SearchDecision decision, IReadOnlyList<MovedTrial> moved)
    {
        intake.Tell([.. decision.Created.Select(each => each.Job)]);
        foreach (var trial in moved)
            transitions.Tell(trial.Job, JobState.Paused, trial.State, trial.Reason);
        if (moved.Any(trial => trial.State == JobState.Queued))
            signal.Place();
        if (decision.State.IsClosed)
        {
            LogEnded(id, decision.State.Trials.Length);
            // Who watches the experiment waits for its end, which need not be that of a job.
            transitions.Tell(JobOf(decision.Of.Experiment, 0), []);
        }

        // Their grains may remember the jobs as they were.
        await Task.WhenAll(moved.Select(TouchAsync));
    }

    /// <summary>All that it could do is stored: a failure costs a second try of whoever calls the grain next.</summary>
    private async Task TouchAsync(MovedTrial trial)
    {
        try
        {
            await grains.GetGrain<IJobGrain>(trial.Job.Value).TouchAsync(trial.Version);
        }
        catch (Exception fault)
        {
            LogTouchFailed(fault, trial.Job);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Search {ExperimentId}: over, after {Trials} trials")]
    private partial void LogEnded(ExperimentId experimentId, int trials);

    [LoggerMessage(Level = LogLevel.Information, Message = "Search {ExperimentId}: trial {Trial} is invalid: {Reason}")]
    private partial void LogInvalid(ExperimentId experimentId, int trial, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {JobId} has been moved by its search, of which its grain could not be told")]
    private partial void LogTouchFailed(Exception fault, JobId jobId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Search {ExperimentId} could not decide; it is tried again soon")]
    private partial void LogFailed(Exception fault, ExperimentId experimentId);
}
