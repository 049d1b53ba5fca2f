using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

[Collection(typeof(ApiTests))]
public sealed class ExperimentTests(SharedScheduler shared)
{
    private const string Yaml = """
        name: activations
        model: fourlayer_cnn
        data: fashion-mnist
        resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere}}
        matrix:
          model.options.activation: [relu, tanh, sigmoid]
        """;

    private TestScheduler Scheduler => shared.Scheduler;

    private ExperimentService.ExperimentServiceClient Experiments => Scheduler.Experiments();

    [Fact]
    public async Task Submit_StoresAllJobsInTheFilesOrder_WithTheirVariants()
    {
        var submitted = await Experiments.SubmitExperimentAsync(Request());

        var found = await Experiments.GetExperimentAsync(new GetExperimentRequest { ExperimentId = submitted.Experiment.Id[..8] });
        found.Experiment.Name.ShouldBe("activations");
        found.Experiment.Owner.ShouldBe("alice");
        found.Experiment.States.ShouldHaveSingleItem().ShouldBe(new JobStateCount { State = JobState.Queued, Jobs = 3 });
        found.Yaml.ShouldBe(Yaml);
        found.Jobs.Select(job => job.Variant).ShouldBe(["activation=relu", "activation=tanh", "activation=sigmoid"]);
        found.Jobs.ShouldAllBe(job => job.ExperimentId == submitted.Experiment.Id);
        found.Jobs[2].Spec.Model.Options["activation"].StringValue.ShouldBe("sigmoid");
        var listed = await Scheduler.Jobs().ListJobsAsync(new ListJobsRequest { ExperimentId = submitted.Experiment.Id });
        listed.Jobs.Select(job => job.Id).ShouldBe(found.Jobs.Select(job => job.Id).Reverse());
        var events = (await Scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = found.Jobs[0].Id })).Events;
        events.ShouldHaveSingleItem().ToState.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task Submit_TwentyTimesAtOnceUnderOneRequestId_MakesOneExperiment()
    {
        var request = Request();

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Experiments.SubmitExperimentAsync(request).ResponseAsync));

        var id = answers.Select(answer => answer.Experiment.Id).Distinct().ShouldHaveSingleItem();
        (await Scheduler.QueryAsync($"select count(*) from jobs where experiment_id = '{id}'")).ShouldBe(3L);
    }

    [Fact]
    public async Task Submit_UnderAJobsRequestId_IsAnotherThing()
    {
        var request = Request();
        var jobs = await Scheduler.Jobs().SubmitJobAsync(
            new SubmitJobRequest { RequestId = request.RequestId, Yaml = "model: lenet5\ndata: fashion-mnist\n", WaitForCapacity = true });

        var submitted = await Experiments.SubmitExperimentAsync(request);

        submitted.Jobs.Count.ShouldBe(3);
        submitted.Jobs.ShouldNotContain(job => job.Id == jobs.Job.Id);
    }

    [Fact]
    public async Task Submit_OfOneFaultyVariant_StoresNothingAndNamesIt()
    {
        var before = await Scheduler.QueryAsync("select count(*) from jobs");

        await RefusedAsync(Request(Yaml.Replace("tanh", "tahn")), StatusCode.InvalidArgument,
            "variant activation=tahn: model.options.activation is tahn", "did you mean tanh?");
        await RefusedAsync(Request(""), StatusCode.InvalidArgument, "job file is empty");
        await RefusedAsync(Request(Yaml + "\n# " + new string('x', 2 << 20)), StatusCode.ResourceExhausted, "at most 1048576");

        (await Scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(before);
    }

    [Fact]
    public async Task Submit_OfAVariantThatTheClusterCanNeverRun_StoresNothingAndNamesIt()
    {
        await Scheduler.AddNodeAsync("experiment-node");
        var yaml = Yaml.Replace("nowhere", "experiment-node").Replace("[relu, tanh, sigmoid]", "[relu]")
            + "\n  resources.devices: [1, 2]\n";
        var request = Request(yaml);
        request.WaitForCapacity = false;

        await RefusedAsync(request, StatusCode.FailedPrecondition, "variant activation=relu,devices=2: resources.devices is 2");
        var validated = await Should.ThrowAsync<RpcException>(
            async () => await Scheduler.Experiments(TestScheduler.ViewerToken)
                .ValidateExperimentAsync(new ValidateExperimentRequest { Yaml = yaml }));
        validated.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        (await Scheduler.QueryAsync($"select count(*) from jobs where request_id like '{request.RequestId}%'")).ShouldBe(0L);
    }

    [Fact]
    public async Task Cancel_EndsAllThatHaveNotEnded_AndOnlyForWhoMay()
    {
        var submitted = await Experiments.SubmitExperimentAsync(Request());
        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = submitted.Jobs[1].Id, Reason = "by itself" });
        var cancel = new CancelExperimentRequest { ExperimentId = submitted.Experiment.Id, Reason = "seen enough" };

        var refused = await Should.ThrowAsync<RpcException>(
            async () => await Scheduler.Experiments(TestScheduler.OtherSubmitterToken).CancelExperimentAsync(cancel));
        var cancelled = await Experiments.CancelExperimentAsync(cancel);

        refused.StatusCode.ShouldBe(StatusCode.PermissionDenied);
        cancelled.Jobs.ShouldAllBe(job => job.State == JobState.Cancelled);
        cancelled.Jobs.Select(job => job.Reason).ShouldBe(
            ["cancelled by alice: seen enough", "cancelled by alice: by itself", "cancelled by alice: seen enough"]);
    }

    [Fact]
    public async Task Watch_GivesAllJobs_ThenThoseThatChange_AndEndsWithTheLast()
    {
        var submitted = await Experiments.SubmitExperimentAsync(Request());
        using var call = Experiments.WatchExperiment(new WatchExperimentRequest { ExperimentId = submitted.Experiment.Id });
        var stream = call.ResponseStream;

        (await stream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        stream.Current.Jobs.Count.ShouldBe(3);
        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = submitted.Jobs[1].Id });
        (await NextAboutAsync(JobState.Cancelled)).Jobs.Where(job => job.State == JobState.Cancelled).ShouldHaveSingleItem()
            .Id.ShouldBe(submitted.Jobs[1].Id);
        await Experiments.CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = submitted.Experiment.Id });
        var last = stream.Current;
        while (await stream.MoveNext(TestContext.Current.CancellationToken))
            last = stream.Current;
        last.Experiment.States.ShouldHaveSingleItem().State.ShouldBe(JobState.Cancelled);

        // The queue's standings are news too, and come when they come: by themselves or beside another change.
        async Task<WatchExperimentResponse> NextAboutAsync(JobState state)
        {
            while (await stream.MoveNext(TestContext.Current.CancellationToken))
            {
                if (stream.Current.Jobs.Any(job => job.State == state))
                    return stream.Current;
            }

            throw new InvalidOperationException("the stream ended");
        }
    }

    [Fact]
    public async Task Watch_Brief_SendsAJobsSpecOnce()
    {
        var submitted = await Experiments.SubmitExperimentAsync(Request());
        using var call = Experiments.WatchExperiment(
            new WatchExperimentRequest { ExperimentId = submitted.Experiment.Id, Brief = true });
        (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        call.ResponseStream.Current.Jobs.ShouldAllBe(job => job.Spec != null);

        await Experiments.CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = submitted.Experiment.Id });

        var rest = await call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);
        rest.SelectMany(message => message.Jobs).ShouldNotBeEmpty();
        rest.SelectMany(message => message.Jobs).ShouldAllBe(job => job.Spec == null && job.Id.Length > 0);
    }

    [Fact]
    public async Task List_IsNewestFirst_PageByPage()
    {
        var older = await Experiments.SubmitExperimentAsync(Request());
        var newer = await Experiments.SubmitExperimentAsync(Request());

        var first = await Experiments.ListExperimentsAsync(new ListExperimentsRequest { PageSize = 1 });
        var second = await Experiments.ListExperimentsAsync(new ListExperimentsRequest { PageSize = 1, PageToken = first.NextPageToken });

        first.Experiments.ShouldHaveSingleItem().Id.ShouldBe(newer.Experiment.Id);
        second.Experiments.ShouldHaveSingleItem().Id.ShouldBe(older.Experiment.Id);
        second.Experiments[0].States.Sum(count => count.Jobs).ShouldBe(3);
        var wrong = await Should.ThrowAsync<RpcException>(
            async () => await Experiments.ListExperimentsAsync(new ListExperimentsRequest { PageToken = "x" }));
        wrong.StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Theory]
    [InlineData("zz", StatusCode.InvalidArgument, "experiment_id is 'zz'")]
    [InlineData("0123456789", StatusCode.NotFound, "no experiment has an id that begins with")]
    public async Task Get_OfNoSuchExperiment_SaysSo(string id, StatusCode code, string message)
    {
        var refusal = await Should.ThrowAsync<RpcException>(
            async () => await Experiments.GetExperimentAsync(new GetExperimentRequest { ExperimentId = id }));

        refusal.StatusCode.ShouldBe(code);
        refusal.Status.Detail.ShouldContain(message);
    }

    private async Task RefusedAsync(SubmitExperimentRequest request, StatusCode code, params string[] parts)
    {
        var refusal = await Should.ThrowAsync<RpcException>(async () => await Experiments.SubmitExperimentAsync(request));
        refusal.StatusCode.ShouldBe(code);
        foreach (var part in parts)
            refusal.Status.Detail.ShouldContain(part);
    }

    private static SubmitExperimentRequest Request(string yaml = Yaml) =>
        new() { RequestId = Guid.NewGuid().ToString(), Yaml = yaml, WaitForCapacity = true };
}
