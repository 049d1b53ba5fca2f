using System.Collections.Immutable;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Dependencies;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Queues;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Submissions;

/// <summary>What is settled before a job is stored.</summary>
internal sealed class SubmissionChecks(
    InitialCheckpoint initial, DependencyPin dependencies, MemoryForecast forecast, CapacityCheck capacity, QueueQueries queues,
    IOptions<ModelInquiryOptions> options)
{
    /// <returns>
    /// The job with the checkpoint that it begins with and the jobs that it comes after, and with its forecast if that is known without
    /// asking.
    /// </returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it, and it is not to wait for capacity.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found.</exception>
    /// <exception cref="DependencyException">A job that it is to come after cannot be found.</exception>
    public async Task<JobSubmission> PassAsync(JobSubmission job, CancellationToken cancellationToken)
    {
        var pinned = await PinAsync(job.Spec, cancellationToken);
        job = WithForecast(job with { Spec = pinned });
        if (!job.WaitForCapacity)
            await capacity.EnsureFitsAsync(job.Spec, job.Memory, cancellationToken);
        return job;
    }

    /// <inheritdoc cref="PassAsync(JobSubmission, CancellationToken)"/>
    /// <remarks>What is wrong with one is said of its variant.</remarks>
    public async Task<List<JobSubmission>> PassAllAsync(IEnumerable<JobSubmission> jobs, CancellationToken cancellationToken)
    {
        var passed = new List<JobSubmission>();
        foreach (var job in jobs)
            passed.Add(WithForecast(job with { Spec = await PinAsync(job.Spec, cancellationToken) }));
        if (passed.Exists(job => !job.WaitForCapacity))
            await capacity.EnsureAllFitAsync(passed.Select(job => (job.Variant, job.Spec, job.Memory)), cancellationToken);
        return passed;
    }

    /// <summary>The same for who asks before, and so waits for the forecast.</summary>
    /// <returns>
    /// The spec with the checkpoint that the job would begin with and the jobs that it would come after, and what a rank would take.
    /// </returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found.</exception>
    /// <exception cref="DependencyException">A job that it is to come after cannot be found.</exception>
    /// <exception cref="UnknownQueueException">There is no such queue.</exception>
    public async Task<(JobSpec Spec, MemoryEstimate? Memory)> ValidateAsync(JobSpec spec, CancellationToken cancellationToken)
    {
        await EnsureQueueAsync(spec.Queue, cancellationToken);
        spec = await PinAsync(spec, cancellationToken);
        var memory = await forecast.OfAsync(spec, cancellationToken);
        await capacity.EnsureFitsAsync(spec, memory, cancellationToken);
        return (spec, memory);
    }

    /// <inheritdoc cref="ValidateAsync(JobSpec, CancellationToken)"/>
    /// <returns>The plan with every member's spec so.</returns>
    public async Task<ExperimentPlan> ValidateAsync(ExperimentPlan plan, CancellationToken cancellationToken)
    {
        await EnsureQueuesAsync(plan, cancellationToken);
        var members = ImmutableArray.CreateBuilder<ExperimentMember>(plan.Members.Length);
        foreach (var member in plan.Members)
            members.Add(member with { Spec = await PinAsync(member.Spec, cancellationToken) });
        plan = plan with { Members = members.MoveToImmutable() };
        var memory = await Task.WhenAll(plan.Members.Select(member => forecast.OfAsync(member.Spec, cancellationToken)));
        await capacity.EnsureAllFitAsync(
            plan.Members.Zip(memory, (member, estimate) => (member.Variant, member.Spec, estimate)), cancellationToken);
        return plan;
    }

    private async Task<JobSpec> PinAsync(JobSpec spec, CancellationToken cancellationToken) =>
        await dependencies.PinAsync(await initial.PinAsync(spec, cancellationToken), cancellationToken);

    /// <summary>For who stores no job yet: one that names no queue cannot be stored, and its submit need not ask.</summary>
    /// <exception cref="UnknownQueueException">There is no such queue.</exception>
    public async Task EnsureQueuesAsync(ExperimentPlan plan, CancellationToken cancellationToken)
    {
        foreach (var queue in plan.Members.Select(member => member.Spec.Queue).Distinct())
            await EnsureQueueAsync(queue, cancellationToken);
    }

    private async Task EnsureQueueAsync(string queue, CancellationToken cancellationToken)
    {
        if (!await queues.ExistsAsync(queue, cancellationToken))
            throw UnknownQueueException.For(queue);
    }

    private JobSubmission WithForecast(JobSubmission job)
    {
        var known = forecast.Known(job.Spec);
        return job with
        {
            Memory = known.Memory,
            ForecastUntil = known.IsSettled ? null : job.CreatedAt + options.Value.ForecastPatience,
        };
    }
}
