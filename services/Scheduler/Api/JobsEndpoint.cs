using System.Diagnostics;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Submissions;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Jobs over gRPC: requests are checked here, stored or acted on by the job's grain, and answered from Postgres.</summary>
internal sealed class JobsEndpoint(
    IGrainFactory grains, JobIntake intake, SubmissionChecks checks, JobQueries queries, JobLookup lookup, ExperimentLookup experiments,
    JobWatch watch, WorkspaceRule workspaces, TimeProvider time)
    : JobService.JobServiceBase
{
    private const int DefaultPageSize = 100;
    internal const int LargestPageSize = 1000;

    // Where a tail begins is found by going through it backwards; whoever wants more reads all from the beginning.
    private const int LongestTail = 10_000;

    public override async Task<SubmitJobResponse> SubmitJob(SubmitJobRequest request, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        RequestText.CheckRequestId(request.RequestId, "job");
        var spec = request.JobCase switch
        {
            SubmitJobRequest.JobOneofCase.Yaml => JobFile.ParseMarked(request.Yaml),
            SubmitJobRequest.JobOneofCase.Spec => JobSpecValidator.Complete(request.Spec),
            _ => throw NoJob(),
        };

        await workspaces.CheckAsync(spec, context);
        var submission = JobSubmission.Of(caller.Owner, request.RequestId, spec, request.WaitForCapacity, time.GetUtcNow());
        Activity.Current?.SetTag("cluster.job.id", submission.Id.ToString());
        var submitted = await intake.SubmitAsync(submission, context.CancellationToken);
        if (submitted is not null)
            return new SubmitJobResponse { Job = submitted };
        // A repeated request asks what became of the first, which may have been another job than this one.
        var first = await lookup.FindAsync($"{submission.Id}", workspaces.Seen(context), context.CancellationToken);
        return new SubmitJobResponse { Job = await GetAsync(first, context.CancellationToken) };
    }

    public override async Task<ValidateJobResponse> ValidateJob(ValidateJobRequest request, ServerCallContext context)
    {
        var spec = request.JobCase switch
        {
            ValidateJobRequest.JobOneofCase.Yaml => JobFile.Parse(request.Yaml),
            ValidateJobRequest.JobOneofCase.Spec => JobSpecValidator.Complete(request.Spec),
            _ => throw NoJob(),
        };
        await workspaces.CheckAsync(spec, context);
        (spec, _) = await checks.ValidateAsync(spec, context.CancellationToken);
        return new ValidateJobResponse { Spec = spec, Warnings = { JobSpecWarnings.Of(spec) } };
    }

    public override async Task<PreviewJobResponse> PreviewJob(PreviewJobRequest request, ServerCallContext context)
    {
        var spec = request.JobCase switch
        {
            PreviewJobRequest.JobOneofCase.Yaml => JobFile.Parse(request.Yaml),
            PreviewJobRequest.JobOneofCase.Spec => JobSpecValidator.Complete(request.Spec),
            _ => throw NoJob(),
        };
        await workspaces.CheckAsync(spec, context);
        (spec, var memory) = await checks.ValidateAsync(spec, context.CancellationToken);
        return new PreviewJobResponse
        {
            Spec = spec,
            Warnings = { JobSpecWarnings.Of(spec) },
            Memory = memory,
            Start = await PreviewAsync(new Job { Spec = spec, Memory = memory, Owner = Caller.Of(context).Owner }),
        };
    }

    public override async Task<GetJobResponse> GetJob(GetJobRequest request, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        return new GetJobResponse
        {
            Job = await GetAsync(id, context.CancellationToken),
            Events = { await queries.NewestEventsAsync(id, context.CancellationToken) },
        };
    }

    public override async Task<ListJobsResponse> ListJobs(ListJobsRequest request, ServerCallContext context)
    {
        RequestText.Check("workspace", request.Workspace, longest: 200);
        ExperimentId? experiment = request.ExperimentId.Length == 0
            ? null
            : await experiments.FindAsync(request.ExperimentId, workspaces.Seen(context), context.CancellationToken);
        RequestText.Check("queue", request.Queue, longest: 200);
        var filter = new JobFilter(request.States, request.Workspace, PageSize(request.PageSize), request.PageToken, experiment)
        {
            Queue = request.Queue,
            Seen = workspaces.Seen(context),
        };
        var page = await ListAsync(() => queries.ListAsync(filter, context.CancellationToken));
        return new ListJobsResponse { Jobs = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<CancelJobResponse> CancelJob(CancelJobRequest request, ServerCallContext context)
    {
        RequestText.Check("reason", request.Reason, longest: 1000);
        var (id, grain, by) = await FindOwnAsync(request.JobId, "cancelling", context);
        await GrainCall.RetryAsync(() => grain.CancelAsync(new CancelJob(by, request.Reason)));
        return new CancelJobResponse { Job = await GetAsync(id, context.CancellationToken) };
    }

    public override async Task<PauseJobResponse> PauseJob(PauseJobRequest request, ServerCallContext context)
    {
        RequestText.Check("reason", request.Reason, longest: 1000);
        var (id, grain, by) = await FindOwnAsync(request.JobId, "pausing", context);
        var isPaused = await GrainCall.RetryAsync(() => grain.PauseAsync(new PauseJob(by, request.Reason)));
        var job = await GetAsync(id, context.CancellationToken);
        return isPaused ? new PauseJobResponse { Job = job } : throw IsOver(job, "paused");
    }

    public override async Task<ResumeJobResponse> ResumeJob(ResumeJobRequest request, ServerCallContext context)
    {
        var (id, grain, by) = await FindOwnAsync(request.JobId, "resuming", context);
        var isResumed = await GrainCall.RetryAsync(() => grain.ResumeAsync(by));
        var job = await GetAsync(id, context.CancellationToken);
        return isResumed ? new ResumeJobResponse { Job = job } : throw IsOver(job, "resumed");
    }

    public override async Task<UpdateJobResponse> UpdateJob(UpdateJobRequest request, ServerCallContext context)
    {
        if (!request.HasQueue && !request.HasPriority)
            throw new InvalidRequestException("the request changes nothing; set queue, priority or both");
        if (request.HasPriority && request.Priority is < JobPriority.Lowest or > JobPriority.Highest)
        {
            throw new InvalidRequestException(
                $"priority is {request.Priority}; give a whole number from {JobPriority.Lowest} to {JobPriority.Highest}");
        }

        if (request.HasQueue && !Names.IsValid(request.Queue))
            throw new InvalidRequestException($"queue is '{request.Queue}' but must be {Names.Range}");
        var (id, grain, _) = await FindOwnAsync(request.JobId, "changing", context);
        workspaces.CheckLimits(
            Caller.Of(context), (await GetAsync(id, context.CancellationToken)).Spec.Workspace,
            request.HasPriority ? request.Priority : null, request.HasQueue ? request.Queue : null);
        var change = new UpdateJob(request.HasQueue ? request.Queue : null, request.HasPriority ? request.Priority : null);
        await GrainCall.RetryAsync(() => grain.UpdateAsync(change));
        return new UpdateJobResponse { Job = await GetAsync(id, context.CancellationToken) };
    }

    public override async Task WatchJob(
        WatchJobRequest request, IServerStreamWriter<WatchJobResponse> responseStream, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        await foreach (var update in watch.UpdatesAsync(id, request.AfterSequence, request.Brief, context.CancellationToken))
        {
            await responseStream.WriteAsync(update, context.CancellationToken);
        }
    }

    public override async Task StreamLogs(
        StreamLogsRequest request, IServerStreamWriter<StreamLogsResponse> responseStream, ServerCallContext context)
    {
        if (request.Tail is < 0 or > LongestTail)
            throw new InvalidRequestException(
                $"tail is {request.Tail}; give the number of last lines, at most {LongestTail}, or 0 for all");
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        int? rank = request.HasRank ? request.Rank : null;
        await foreach (var lines in watch.LogsAsync(
            id, request.AfterSequence, rank, request.Tail, request.Follow, context.CancellationToken))
        {
            foreach (var batch in lines.InMessages())
                await responseStream.WriteAsync(new StreamLogsResponse { Lines = { batch } }, context.CancellationToken);
        }
    }

    /// <summary>What a page_size means: 0 is the default, and no page is longer than the longest.</summary>
    internal static int PageSize(int asked) => asked switch
    {
        < 0 => throw new InvalidRequestException($"page_size is {asked}; give 1 to {LargestPageSize}, or 0 for {DefaultPageSize}"),
        0 => DefaultPageSize,
        _ => Math.Min(asked, LargestPageSize),
    };

    /// <summary>A page, or the word that its token is none.</summary>
    internal static async Task<Page<T>> ListAsync<T>(Func<Task<Page<T>>> list)
    {
        try
        {
            return await list();
        }
        catch (FormatException fault)
        {
            throw new InvalidRequestException(fault.Message);
        }
    }

    private async Task<StartPreview> PreviewAsync(Job job) => job.Spec.After.Count > 0
        ? new StartPreview { Reason = QueueReason.OtherJobs.Words, ReasonCode = QueueReason.OtherJobs.Code }
        : (await grains.GetGrain<IPlacementGrain>(0).PreviewAsync(PreviewOrder.For(job))).Read();

    /// <summary>A job that the caller may do this to, and who the caller is.</summary>
    private async Task<(JobId Id, IJobGrain Grain, string By)> FindOwnAsync(string text, string doing, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        var id = await lookup.FindAsync(text, workspaces.Seen(context), context.CancellationToken);
        var job = await GetAsync(id, context.CancellationToken);
        var owner = job.Owner;
        return workspaces.MayChange(caller, owner, job.Spec.Workspace)
            ? (id, grains.GetGrain<IJobGrain>(id.Value), caller.Owner)
            : throw new RpcException(
                new Status(StatusCode.PermissionDenied, $"job {id} belongs to {owner}; {doing} it needs the scope operator"));
    }

    private static RpcException IsOver(Job job, string what) => new(new Status(
        StatusCode.FailedPrecondition,
        $"job {job.Id} is {job.State.Word()} ({job.Reason}); only a job that is not over or being cancelled can be {what}"));

    private static InvalidRequestException NoJob() => new("the request describes no job; set yaml or spec");

    private async Task<Job> GetAsync(JobId id, CancellationToken cancellationToken) =>
        await queries.GetAsync(id, cancellationToken) ?? throw JobNotFoundException.For(id);
}
