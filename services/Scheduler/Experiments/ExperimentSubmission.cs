using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;

namespace Cluster.Scheduler.Experiments;

/// <summary>Queues all jobs of an experiment at once, or none.</summary>
internal sealed partial class ExperimentSubmission(
    ExperimentStore store, MemoryForecast forecast, CapacityCheck capacity, InitialCheckpoint initial, JobFeed feed, ReconcileSignal signal,
    TimeProvider time, ILogger<ExperimentSubmission> logger)
{
    /// <summary>Stores and queues the plan's jobs in its order; does nothing if that was done before.</summary>
    /// <exception cref="InitialCheckpointException">The weights that one of them is to begin with cannot be found.</exception>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run one of them, and they are not to wait for
    /// capacity.</exception>
    public async Task<ExperimentId> SubmitAsync(
        ExperimentPlan plan, string yaml, string owner, string requestId, bool waitForCapacity, CancellationToken cancellationToken)
    {
        var id = JobIds.ForExperiment(owner, requestId);
        if (await store.GetAsync(id, cancellationToken) is not null)
            return id;
        plan = await initial.PinAsync(plan, cancellationToken);
        var memory = await CheckAsync(plan, waitForCapacity, cancellationToken);

        var now = time.GetUtcNow();
        var rows = plan.Members.Select((member, index) => Submission(member, index).Rows(At(index))).ToList();
        var experiment = new ExperimentRow
        {
            Id = id.Value,
            Owner = owner,
            RequestId = requestId,
            Name = plan.Name,
            Workspace = plan.Workspace,
            Yaml = yaml,
            CreatedAt = now,
        };
        // Whoever called may have gone; what is begun is stored whole all the same.
        if (await store.InsertAsync(
            experiment, [.. rows.Select(row => row.Job)], [.. rows.Select(row => row.Submitted)], CancellationToken.None))
        {
            LogSubmitted(id, plan.Name, rows.Count, owner);
            foreach (var (job, _) in rows)
                feed.Publish(new JobId(job.Id));
            signal.Place();
        }

        return id;

        JobSubmission Submission(ExperimentMember member, int index)
        {
            var request = JobIds.MemberRequest(requestId, index);
            var span = Activity.Current;
            return new JobSubmission(
                JobIds.ForRequest(owner, request), owner, request, member.Spec, waitForCapacity, span?.Id ?? "", span?.TraceStateString
                    ?? "",
                memory[index])
            {
                Experiment = id,
                Variant = member.Variant,
            };
        }

        // Jobs wait in order of age and are listed by it. A microsecond, Postgres' finest, keeps them in the file's order.
        DateTimeOffset At(int index) => now.AddMicroseconds(index);
    }

    /// <summary>
    /// What each job is expected to take of memory, in the plan's order, once it is known that the cluster could run each.
    /// </summary>
    /// <inheritdoc cref="SubmitAsync"/>
    public async Task<IReadOnlyList<MemoryEstimate?>> CheckAsync(
        ExperimentPlan plan, bool waitForCapacity, CancellationToken cancellationToken)
    {
        var memory = await Task.WhenAll(plan.Members.Select(member => forecast.OfAsync(member.Spec, cancellationToken)));
        if (!waitForCapacity)
            await capacity.EnsureAllFitAsync(
                plan.Members.Zip(memory, (member, estimate) => (member.Variant, member.Spec, estimate)), cancellationToken);
        return memory;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Experiment {ExperimentId} ({Name}): {Jobs} jobs queued for {Owner}")]
    private partial void LogSubmitted(ExperimentId experimentId, string name, int jobs, string owner);
}
