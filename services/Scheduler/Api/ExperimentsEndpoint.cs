using System.Collections.ObjectModel;
using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Submissions;
using Cluster.Search;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Experiments over gRPC.</summary>
internal sealed class ExperimentsEndpoint(
    IGrainFactory grains, ExperimentIntake intake, SearchCommands searches, SubmissionChecks checks, ExperimentStore store,
    ExperimentLookup lookup, ExperimentWatch watch, WorkspaceRule workspaces)
    : ExperimentService.ExperimentServiceBase
{
    public override async Task<SubmitExperimentResponse> SubmitExperiment(SubmitExperimentRequest request, ServerCallContext context)
    {
        RequestText.CheckRequestId(request.RequestId, "experiment");
        var plan = ExperimentFile.Parse(request.Yaml);
        await CheckAsync(plan, context);
        var owner = Caller.Of(context).Owner;
        var id = plan.Search is null
            ? await intake.SubmitAsync(
                plan, request.Yaml, owner, request.RequestId, request.WaitForCapacity, context.CancellationToken)
            : await searches.SubmitAsync(
                plan, request.Yaml, owner, request.RequestId, request.WaitForCapacity, context.CancellationToken);
        // A repeated request asks what became of the first, which may have been another experiment than this one.
        await lookup.FindAsync($"{id}", workspaces.Seen(context), context.CancellationToken);
        var stored = await GetAsync(id, context.CancellationToken);
        var page = Jobs(stored, after: 0);
        return new SubmitExperimentResponse
        {
            Experiment = stored.Experiment,
            Jobs = { page.Entries },
            NextPageToken = page.NextPageToken,
        };
    }

    public override async Task<ValidateExperimentResponse> ValidateExperiment(ValidateExperimentRequest request, ServerCallContext context)
    {
        var plan = ExperimentFile.Parse(request.Yaml);
        await CheckAsync(plan, context);
        plan = await checks.ValidateAsync(plan, context.CancellationToken);
        return new ValidateExperimentResponse
        {
            Name = plan.Name,
            Variants = { plan.Members.Select(member => new Variant { Name = member.Variant, Spec = member.Spec }) },
        };
    }

    public override async Task<GetExperimentResponse> GetExperiment(GetExperimentRequest request, ServerCallContext context)
    {
        var token = request.PageToken;
        var after = 0;
        if (token.Length > 0 && !(int.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out after) && after > 0))
            throw new InvalidRequestException($"page_token is '{token}', which no experiment's page returned; start again without one");
        var id = await lookup.FindAsync(request.ExperimentId, workspaces.Seen(context), context.CancellationToken);
        var stored = await GetAsync(id, context.CancellationToken);
        var page = Jobs(stored, after);
        return new GetExperimentResponse
        {
            Experiment = stored.Experiment,
            Jobs = { page.Entries },
            Yaml = after == 0 ? stored.Yaml : "",
            NextPageToken = page.NextPageToken,
        };
    }

    public override async Task<ListExperimentsResponse> ListExperiments(ListExperimentsRequest request, ServerCallContext context)
    {
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(
            () => store.ListAsync(workspaces.Seen(context), size, request.PageToken, context.CancellationToken));
        return new ListExperimentsResponse { Experiments = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<CancelExperimentResponse> CancelExperiment(CancelExperimentRequest request, ServerCallContext context)
    {
        RequestText.Check("reason", request.Reason, longest: 1000);
        var (id, _, by) = await FindOwnAsync(request.ExperimentId, "cancelling", context);
        await searches.CancelAsync(id, context.CancellationToken);
        // After that no other job comes.
        var (_, jobs, _) = await GetAsync(id, context.CancellationToken);
        // The last first, so that none of those that wait is started by the place of one that was cancelled.
        foreach (var job in jobs.Reverse().Where(job => !job.State.IsFinal()))
            await GrainCall.RetryAsync(
                () => GrainOf(job).CancelAsync(new CancelJob(by, request.Reason)));
        var cancelled = await GetAsync(id, context.CancellationToken);
        var page = Jobs(cancelled, after: 0);
        return new CancelExperimentResponse
        {
            Experiment = cancelled.Experiment,
            Jobs = { page.Entries },
            NextPageToken = page.NextPageToken,
        };
    }

    public override async Task<PauseExperimentResponse> PauseExperiment(PauseExperimentRequest request, ServerCallContext context)
    {
        RequestText.Check("reason", request.Reason, longest: 1000);
        var (id, experiment, by) = await FindOwnAsync(request.ExperimentId, "pausing", context);
        if (experiment.IsOver())
            throw IsOver(experiment, "paused");
        await searches.PauseAsync(id, context.CancellationToken);
        var (_, jobs, _) = await GetAsync(id, context.CancellationToken);
        // The last first, so that none of those that wait is started by the place of one that was paused.
        foreach (var job in jobs.Reverse().Where(job => !job.State.IsFinal()))
            await GrainCall.RetryAsync(() => GrainOf(job).PauseAsync(new PauseJob(by, request.Reason)));
        return new PauseExperimentResponse { Experiment = (await GetAsync(id, context.CancellationToken)).Experiment };
    }

    public override async Task<ResumeExperimentResponse> ResumeExperiment(ResumeExperimentRequest request, ServerCallContext context)
    {
        var (id, experiment, by) = await FindOwnAsync(request.ExperimentId, "resuming", context);
        if (experiment.IsOver())
            throw IsOver(experiment, "resumed");
        var (_, jobs, _) = await GetAsync(id, context.CancellationToken);
        foreach (var job in jobs.Where(job => !job.State.IsFinal()))
            await GrainCall.RetryAsync(() => GrainOf(job).ResumeAsync(by));
        await searches.ResumeAsync(id, context.CancellationToken);
        return new ResumeExperimentResponse { Experiment = (await GetAsync(id, context.CancellationToken)).Experiment };
    }

    public override async Task<LimitExperimentResponse> LimitExperiment(LimitExperimentRequest request, ServerCallContext context)
    {
        CheckLimit("max_trials", request.MaxTrials);
        CheckLimit("max_concurrent", request.MaxConcurrent);
        var (id, experiment, _) = await FindOwnAsync(request.ExperimentId, "limiting", context);
        if (experiment.Search is not { } search)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"experiment {id} has no searcher, and so no limits"));
        if (search.Phase == SearchPhase.Paused)
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"experiment {id} is paused; resume it first"));
        var moreTrials = request.MaxTrials - search.MaxTrials;
        if (!await searches.LimitAsync(id, experiment.Owner, moreTrials, Changed, context.CancellationToken))
            throw IsOver(experiment, "limited");
        return new LimitExperimentResponse { Experiment = (await GetAsync(id, context.CancellationToken)).Experiment };

        SearchLimits Changed(SearchLimits limits) => new(
            request.MaxTrials > 0 ? request.MaxTrials : limits.MaxTrials,
            request.MaxConcurrent > 0 ? request.MaxConcurrent : limits.MaxConcurrent);
    }

    public override async Task WatchExperiment(
        WatchExperimentRequest request, IServerStreamWriter<WatchExperimentResponse> responseStream, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.ExperimentId, workspaces.Seen(context), context.CancellationToken);
        await foreach (var update in watch.UpdatesAsync(id, request.Brief, context.CancellationToken))
        {
            await responseStream.WriteAsync(update, context.CancellationToken);
        }
    }

    private async Task CheckAsync(ExperimentPlan plan, ServerCallContext context)
    {
        var claims = plan.Search?.Claims(plan.Members[0].Spec) ?? [];
        foreach (var spec in plan.Members.Select(member => member.Spec).Concat(claims))
            await workspaces.CheckAsync(spec, context);
    }

    private static void CheckLimit(string name, int limit)
    {
        if (limit is < 0 or > SearchPlan.MostTrials)
            throw new InvalidRequestException($"{name} is {limit}; give 1 to {SearchPlan.MostTrials}, or 0 to leave it as it is");
    }

    private static RpcException IsOver(Experiment experiment, string what) => new(new Status(
        StatusCode.FailedPrecondition, $"experiment {experiment.Id} is over and cannot be {what}"));

    /// <summary>
    /// The jobs after so many, as many as a message holds. An experiment gets others only behind these, so their number is the token.
    /// </summary>
    private static Page<Job> Jobs(StoredExperiment stored, int after)
    {
        IReadOnlyList<Job> page = stored.Jobs.Skip(after).InMessages().FirstOrDefault() ?? [];
        var end = after + page.Count;
        return new Page<Job>(page, end < stored.Jobs.Count ? end.ToString(CultureInfo.InvariantCulture) : "");
    }

    private IJobGrain GrainOf(Job job) => grains.GetGrain<IJobGrain>(JobId.Parse(job.Id).Value);

    /// <summary>An experiment that the caller may do this to, and who the caller is.</summary>
    private async Task<(ExperimentId Id, Experiment Experiment, string By)> FindOwnAsync(
        string text, string doing, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        var id = await lookup.FindAsync(text, workspaces.Seen(context), context.CancellationToken);
        var experiment = (await GetAsync(id, context.CancellationToken)).Experiment;
        return workspaces.MayChange(caller, experiment.Owner, experiment.Workspace)
            ? (id, experiment, caller.Owner)
            : throw new RpcException(new Status(
                StatusCode.PermissionDenied, $"experiment {id} belongs to {experiment.Owner}; {doing} it needs the scope operator"));
    }

    private async Task<StoredExperiment> GetAsync(ExperimentId id, CancellationToken cancellationToken) =>
        await store.GetAsync(id, ReadOnlyDictionary<string, Job>.Empty, cancellationToken) ?? throw ExperimentNotFoundException.For(id);
}
