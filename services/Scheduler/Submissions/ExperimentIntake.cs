using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Limits;

namespace Cluster.Scheduler.Submissions;

/// <summary>Takes in all jobs of an experiment at once, or none.</summary>
internal sealed partial class ExperimentIntake(
    JobIntake intake, SubmissionStore store, SubmissionChecks checks, OwnerLimit limit, TimeProvider time,
    ILogger<ExperimentIntake> logger)
{
    /// <summary>Stores and queues the plan's jobs in its order; does nothing if that was done before.</summary>
    /// <exception cref="InitialCheckpointException">The weights that one of them is to begin with cannot be found.</exception>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run one of them, and they are not to wait for
    /// capacity.</exception>
    /// <exception cref="TooManyJobsException">The owner would have more jobs than one may have.</exception>
    public async Task<ExperimentId> SubmitAsync(
        ExperimentPlan plan, string yaml, string owner, string requestId, bool waitForCapacity, CancellationToken cancellationToken)
    {
        var (id, now) = (JobIds.ForExperiment(owner, requestId), time.GetUtcNow());
        // Jobs wait in order of age and are listed by it. A microsecond, Postgres' finest, keeps them in the file's order.
        var members = plan.Members.Select(Member).ToList();
        try
        {
            members = await checks.PassAllAsync(members, cancellationToken);
            await limit.EnsureRoomAsync(owner, members.Count, cancellationToken);
        }
        catch (Exception refusal) when (
            refusal is InfeasibleJobException or InitialCheckpointException or DependencyException or TooManyJobsException)
        {
            if (await store.HasJobAsync(members[0].Id, cancellationToken))
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
            CreatedAt = members[0].CreatedAt,
        };
        if (await intake.StoreAsync(new Submission([.. members], experiment)))
            LogSubmitted(id, plan.Name, members.Count, owner);
        return id;

        JobSubmission Member(ExperimentMember member, int index)
        {
            var request = JobIds.MemberRequest(requestId, index);
            var job = JobSubmission.Of(owner, request, member.Spec, waitForCapacity, now.AddMicroseconds(index));
            return job with
            {
                Experiment = id,
                Variant = member.Variant,
                Turn = plan.AtOnce > 0 ? new ArrayTurn(index, plan.AtOnce) : null,
            };
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Experiment {ExperimentId} ({Name}): {Jobs} jobs queued for {Owner}")]
    private partial void LogSubmitted(ExperimentId experimentId, string name, int jobs, string owner);
}
