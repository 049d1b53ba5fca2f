using System.Collections.ObjectModel;
using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Submissions;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Experiments over gRPC.</summary>
internal sealed class ExperimentsEndpoint(
    IGrainFactory grains, ExperimentIntake intake, SubmissionChecks checks, ExperimentStore store, ExperimentLookup lookup,
    ExperimentWatch watch)
    : ExperimentService.ExperimentServiceBase
{
    public override async Task<SubmitExperimentResponse> SubmitExperiment(SubmitExperimentRequest request, ServerCallContext context)
    {
        RequestText.CheckRequestId(request.RequestId, "experiment");
        var plan = ExperimentFile.Parse(request.Yaml);
        var id = await intake.SubmitAsync(
            plan, request.Yaml, Caller.Of(context).Owner, request.RequestId, request.WaitForCapacity, context.CancellationToken);
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
        var stored = await GetAsync(await lookup.FindAsync(request.ExperimentId, context.CancellationToken), context.CancellationToken);
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
        var page = await JobsEndpoint.ListAsync(() => store.ListAsync(size, request.PageToken, context.CancellationToken));
        return new ListExperimentsResponse { Experiments = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<CancelExperimentResponse> CancelExperiment(CancelExperimentRequest request, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        RequestText.Check("reason", request.Reason, longest: 1000);
        var id = await lookup.FindAsync(request.ExperimentId, context.CancellationToken);
        var (experiment, jobs, _) = await GetAsync(id, context.CancellationToken);
        if (!caller.MayChangeWhatIsOwnedBy(experiment.Owner))
            throw new RpcException(new Status(
                StatusCode.PermissionDenied, $"experiment {id} belongs to {experiment.Owner}; cancelling it needs the scope operator"));
        // The last first, so that none of those that wait is started by the place of one that was cancelled.
        foreach (var job in jobs.Reverse().Where(job => !job.State.IsFinal()))
            await GrainCall.RetryAsync(
                () => grains.GetGrain<IJobGrain>(JobId.Parse(job.Id).Value).CancelAsync(new CancelJob(caller.Owner, request.Reason)));
        var cancelled = await GetAsync(id, context.CancellationToken);
        var page = Jobs(cancelled, after: 0);
        return new CancelExperimentResponse
        {
            Experiment = cancelled.Experiment,
            Jobs = { page.Entries },
            NextPageToken = page.NextPageToken,
        };
    }

    public override async Task WatchExperiment(
        WatchExperimentRequest request, IServerStreamWriter<WatchExperimentResponse> responseStream, ServerCallContext context)
    {
        var id = await lookup.FindAsync(request.ExperimentId, context.CancellationToken);
        await foreach (var update in watch.UpdatesAsync(id, request.Brief, context.CancellationToken))
        {
            await responseStream.WriteAsync(update, context.CancellationToken);
        }
    }

    /// <summary>
    /// The jobs after so many, as many as a message holds. An experiment never gets others, so their number is the token.
    /// </summary>
    private static Page<Job> Jobs(StoredExperiment stored, int after)
    {
        IReadOnlyList<Job> page = stored.Jobs.Skip(after).InMessages().FirstOrDefault() ?? [];
        var end = after + page.Count;
        return new Page<Job>(page, end < stored.Jobs.Count ? end.ToString(CultureInfo.InvariantCulture) : "");
    }

    private async Task<StoredExperiment> GetAsync(ExperimentId id, CancellationToken cancellationToken) =>
        await store.GetAsync(id, ReadOnlyDictionary<string, Job>.Empty, cancellationToken) ?? throw ExperimentNotFoundException.For(id);
}
