using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Queues;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Submissions;

/// <summary>What is settled before a job is stored.</summary>
internal sealed class SubmissionChecks(
    InitialCheckpoint initial, MemoryForecast forecast, CapacityCheck capacity, QueueQueries queues,
    IOptions<ModelInquiryOptions> options)
{
    /// <returns>The job with the checkpoint that it begins with, and with its forecast if that is known without asking.</returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it, and it is not to wait for capacity.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found.</exception>
    public async Task<JobSubmission> PassAsync(JobSubmission job, CancellationToken cancellationToken)
    {
        var pinned = await initial.PinAsync(job.Spec, cancellationToken);
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
            passed.Add(WithForecast(job with { Spec = await initial.PinAsync(job.Spec, cancellationToken) }));
        if (passed.Exists(job => !job.WaitForCapacity))
            await capacity.EnsureAllFitAsync(passed.Select(job => (job.Variant, job.Spec, job.Memory)), cancellationToken);
        return passed;
    }

    /// <summary>The same for who asks before, and so waits for the forecast.</summary>
    /// <returns>The spec with the checkpoint that the job would begin with.</returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found.</exception>
    /// <exception cref="UnknownQueueException">There is no such queue.</exception>
    public async Task<JobSpec> ValidateAsync(JobSpec spec, CancellationToken cancellationToken)
    {
        await EnsureQueueAsync(spec.Queue, cancellationToken);
        spec = await initial.PinAsync(spec, cancellationToken);
        await capacity.EnsureFitsAsync(spec, await forecast.OfAsync(spec, cancellationToken), cancellationToken);
        return spec;
    }

    /// <inheritdoc cref="ValidateAsync(JobSpec, CancellationToken)"/>
    /// <returns>The plan with every member's spec so.</returns>
    public async Task<ExperimentPlan> ValidateAsync(ExperimentPlan plan, CancellationToken cancellationToken)
    {
        foreach (var queue in plan.Members.Select(member => member.Spec.Queue).Distinct())
            await EnsureQueueAsync(queue, cancellationToken);
        plan = await initial.PinAsync(plan, cancellationToken);
        var memory = await Task.WhenAll(plan.Members.Select(member => forecast.OfAsync(member.Spec, cancellationToken)));
        await capacity.EnsureAllFitAsync(
            plan.Members.Zip(memory, (member, estimate) => (member.Variant, member.Spec, estimate)), cancellationToken);
        return plan;
    }

    /// <summary>A submit need not ask: what names no queue cannot be stored.</summary>
    private async Task EnsureQueueAsync(string queue, CancellationToken cancellationToken)
    {
        if (await queues.GetAsync(queue, cancellationToken) is null)
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
