using System.Collections.ObjectModel;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Submissions;
using Cluster.Search;

namespace Cluster.Scheduler.Searches;

/// <summary>What people ask of searches: to begin, to wait and go on, to end, and to keep other limits.</summary>
internal sealed partial class SearchCommands(
    SearchStore store, SearchSteps steps, ExperimentStore experiments, SubmissionChecks checks, OwnerLimit limit, TimeProvider time,
    ILogger<SearchCommands> logger)
{
    /// <summary>Stores the search and its first trials; does nothing if that was done before.</summary>
    /// <param name="plan">With a search.</param>
    /// <inheritdoc cref="ExperimentIntake.SubmitAsync"/>
    public async Task<ExperimentId> SubmitAsync(
        ExperimentPlan plan, string yaml, string owner, string requestId, bool waitForCapacity, CancellationToken cancellationToken)
    {
        var (id, now, search) = (JobIds.ForExperiment(owner, requestId), time.GetUtcNow(), plan.Search!);
        try
        {
            var first = plan.Members.Select(member =>
                JobSubmission.Of(owner, requestId, member.Spec, waitForCapacity, now) with { Variant = member.Variant });
            await checks.EnsureQueuesAsync(plan, cancellationToken);
            await checks.PassAllAsync(first, cancellationToken);
            await limit.EnsureRoomAsync(owner, Math.Min(search.Limits.MaxTrials, search.Policy.MostTrials), cancellationToken);
        }
        catch (Exception refusal) when (refusal
            is InfeasibleJobException or InitialCheckpointException or DependencyException or UnknownQueueException
            or TooManyJobsException)
        {
            // Only the first submit is refused: a repeated one asks what has become of it.
            if (await experiments.GetAsync(id, ReadOnlyDictionary<string, Job>.Empty, cancellationToken) is not null)
                return id;
            throw;
        }

        var experiment = new ExperimentRow
        {
            Id = id.Value,
            Owner = owner,
            RequestId = requestId,
            Name = plan.Name,
            Workspace = plan.Workspace,
            Yaml = yaml,
            CreatedAt = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond)),
        };
        var row = new SearchRow
        {
            ExperimentId = id.Value,
            Version = 1,
            Searcher = search.Policy.Kind.ToString().ToLowerInvariant(),
            Metric = search.Metric,
            SmallerIsBetter = search.Policy.SmallerIsBetter,
            Phase = SearchPhase.Running,
            State = HyperparameterSearch.New(search.Policy, search.Limits).State,
            NextDueAt = null,
            Queue = plan.Members[0].Spec.Queue,
        };
        if (await store.BeginAsync(experiment, row, cancellationToken))
            LogSubmitted(id, plan.Name, row.Searcher, owner);
        await steps.StepAsync(id, change: null, cancellationToken);
        return id;
    }

    /// <summary>From then on nothing is decided. Its jobs are the caller's to pause.</summary>
    public Task PauseAsync(ExperimentId id, CancellationToken cancellationToken) =>
        store.SetPhaseAsync(id, SearchPhase.Paused, cancellationToken);

    /// <summary>Decides on what has become of its trials meanwhile, and goes on.</summary>
    public async Task ResumeAsync(ExperimentId id, CancellationToken cancellationToken)
    {
        if (await store.SetPhaseAsync(id, SearchPhase.Running, cancellationToken))
            await steps.StepAsync(id, change: null, cancellationToken);
    }

    /// <summary>From then on no job comes any more. Those that are there are the caller's to cancel.</summary>
    public Task CancelAsync(ExperimentId id, CancellationToken cancellationToken) =>
        store.SetPhaseAsync(id, SearchPhase.Cancelled, cancellationToken);

    /// <param name="owner">Whose the search is.</param>
    /// <param name="moreTrials">That the change lets it make.</param>
    /// <returns>False: it is paused or over, or there is no such search.</returns>
    /// <exception cref="TooManyJobsException">The owner would have more jobs than one may have.</exception>
    public async Task<bool> LimitAsync(
        ExperimentId id, string owner, int moreTrials, Func<SearchLimits, SearchLimits> change, CancellationToken cancellationToken)
    {
        if (moreTrials > 0)
            await limit.EnsureRoomAsync(owner, moreTrials, cancellationToken);
        return await steps.StepAsync(id, change, cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Experiment {ExperimentId} ({Name}): searches by {Searcher} for {Owner}")]
    private partial void LogSubmitted(ExperimentId experimentId, string name, string searcher, string owner);
}
