using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Searches over gRPC. Their trials wait for ever: what becomes of trials is tested elsewhere.</summary>
[Collection(typeof(ApiTests))]
public sealed class SearchCallTests(SharedScheduler shared)
{
    private const string Yaml = """
        name: search
        model: lenet5
        data: {name: fashion-mnist, validationSamples: 512}
        resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere}}
        searcher: {name: random, maxTrials: 5, maxConcurrent: 2}
        hyperparameters: {optimizer: {learningRate: {type: log, minval: -4, maxval: -1} } }
        """;

    private ExperimentService.ExperimentServiceClient Experiments => shared.Scheduler.Experiments();

    [Fact]
    public async Task Submit_AnswersWithTheFirstTrials_AndIsListed()
    {
        var submitted = await SubmitAsync();

        submitted.Jobs.Count.ShouldBe(2);
        submitted.Experiment.Search.Searcher.ShouldBe("random");
        var listed = await Experiments.ListExperimentsAsync(new ListExperimentsRequest { PageSize = 1000 });
        listed.Experiments.ShouldContain(submitted.Experiment);
    }

    [Fact]
    public async Task Submit_TwentyTimesAtOnceUnderOneRequestId_MakesOneSearch()
    {
        var request = Request();

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Experiments.SubmitExperimentAsync(request).ResponseAsync));

        var id = answers.Select(answer => answer.Experiment.Id).Distinct().ShouldHaveSingleItem();
        (await shared.Scheduler.QueryAsync($"select count(*) from jobs where experiment_id = '{id}'")).ShouldBe(2L);
    }

    [Fact]
    public async Task Validate_ShowsWhatItMayBeginWith_AndStoresNothing()
    {
        var before = await shared.Scheduler.QueryAsync("select count(*) from experiments");

        var wrong = new ValidateExperimentRequest { Yaml = Yaml.Replace("random", "rondom") };
        var refused = await Should.ThrowAsync<RpcException>(async () => await Experiments.ValidateExperimentAsync(wrong));

        refused.Status.Detail.ShouldContain("searcher.name is rondom but must be grid or random or asha; did you mean random?");
        (await shared.Scheduler.QueryAsync("select count(*) from experiments")).ShouldBe(before);
    }

    [Fact]
    public async Task Search_InAQueueThatNobodyCreated_IsRefused_AndStoresNothing()
    {
        var request = new SubmitExperimentRequest
        {
            RequestId = $"{Guid.NewGuid()}",
            Yaml = Yaml + "\nqueue: nobodys",
            WaitForCapacity = true,
        };

        var refused = await Should.ThrowAsync<RpcException>(async () => await Experiments.SubmitExperimentAsync(request));

        refused.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refused.Status.Detail.ShouldContain("nobodys");
        (await shared.Scheduler.QueryAsync($"select count(*) from experiments where request_id = '{request.RequestId}'")).ShouldBe(0L);
    }

    [Fact]
    public async Task Limit_MakesMoreTrialsAtOnce()
    {
        var id = (await SubmitAsync()).Experiment.Id;

        var limited = await Experiments.LimitExperimentAsync(new LimitExperimentRequest { ExperimentId = id, MaxConcurrent = 4 });

        (limited.Experiment.Search.MaxConcurrent, limited.Experiment.Search.MaxTrials).ShouldBe((4, 5));
        limited.Experiment.States.ShouldHaveSingleItem().Jobs.ShouldBe(4);
        await RefusedAsync(
            () => Experiments.LimitExperimentAsync(new LimitExperimentRequest { ExperimentId = id, MaxTrials = 1001 }).ResponseAsync,
            StatusCode.InvalidArgument, "max_trials is 1001; give 1 to 1000, or 0 to leave it as it is");
    }

    [Fact]
    public async Task Pause_PutsAllTrialsAside_AndResumeTakesThemUp()
    {
        var id = (await SubmitAsync()).Experiment.Id;

        var paused = await Experiments.PauseExperimentAsync(new PauseExperimentRequest { ExperimentId = id, Reason = "not now" });
        await RefusedAsync(
            () => Experiments.LimitExperimentAsync(new LimitExperimentRequest { ExperimentId = id, MaxConcurrent = 4 }).ResponseAsync,
            StatusCode.FailedPrecondition, "is paused; resume it first");
        var resumed = await Experiments.ResumeExperimentAsync(new ResumeExperimentRequest { ExperimentId = id });

        paused.Experiment.Search.Phase.ShouldBe(SearchPhase.Paused);
        paused.Experiment.States.ShouldHaveSingleItem().ShouldBe(new JobStateCount { State = JobState.Paused, Jobs = 2 });
        resumed.Experiment.Search.Phase.ShouldBe(SearchPhase.Running);
        resumed.Experiment.States.ShouldHaveSingleItem().ShouldBe(new JobStateCount { State = JobState.Queued, Jobs = 2 });
    }

    [Fact]
    public async Task Cancel_EndsTheSearch_AndNoOtherTrialComes()
    {
        var id = (await SubmitAsync()).Experiment.Id;
        using var watch = Experiments.WatchExperiment(new WatchExperimentRequest { ExperimentId = id });

        var cancelled = await Experiments.CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = id });

        cancelled.Experiment.Search.Phase.ShouldBe(SearchPhase.Cancelled);
        cancelled.Experiment.States.ShouldHaveSingleItem().ShouldBe(new JobStateCount { State = JobState.Cancelled, Jobs = 2 });
        var last = await watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)
            .LastAsync(TestContext.Current.CancellationToken);
        last.Experiment.States.ShouldHaveSingleItem().Jobs.ShouldBe(2);
        await RefusedAsync(
            () => Experiments.ResumeExperimentAsync(new ResumeExperimentRequest { ExperimentId = id }).ResponseAsync,
            StatusCode.FailedPrecondition, "is over and cannot be resumed");
    }

    [Fact]
    public async Task Change_IsForItsOwnerAndOperators()
    {
        var id = (await SubmitAsync()).Experiment.Id;
        var other = shared.Scheduler.Experiments(TestScheduler.OtherSubmitterToken);

        await RefusedAsync(
            () => other.LimitExperimentAsync(new LimitExperimentRequest { ExperimentId = id, MaxConcurrent = 4 }).ResponseAsync,
            StatusCode.PermissionDenied, "limiting it needs the scope operator");
        await RefusedAsync(
            () => other.PauseExperimentAsync(new PauseExperimentRequest { ExperimentId = id }).ResponseAsync,
            StatusCode.PermissionDenied, "pausing it needs the scope operator");
    }

    private async Task<SubmitExperimentResponse> SubmitAsync() => await Experiments.SubmitExperimentAsync(Request());

    private static async Task RefusedAsync(Func<Task> call, StatusCode code, string part)
    {
        var refusal = await Should.ThrowAsync<RpcException>(call);
        refusal.StatusCode.ShouldBe(code);
        refusal.Status.Detail.ShouldContain(part);
    }

    private static SubmitExperimentRequest Request() =>
        new() { RequestId = Guid.NewGuid().ToString(), Yaml = Yaml, WaitForCapacity = true };
}
