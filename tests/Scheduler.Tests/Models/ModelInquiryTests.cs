using Cluster.Contracts.V1;
using Cluster.Scheduler.Models;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Models;

/// <summary>Questions about models, from a submit to the agent and back, on a scheduler of their own.</summary>
public sealed class ModelInquiryTests(PostgresServer postgres)
{
    private const long Gib = 1L << 30;

    private const long FashionMnistBytes = 70_000 * ((28 * 28) + 1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Job_ThatIsSubmitted_AsksWhatARankWillTake_AndKeepsIt()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node", devices: 4);
        scheduler.Agents.OnDescribe = AnswerAsync(query => query.RankBatchSize * 1000L);
        var spec = AJob().WithDevices(3).With(s => s.Hyperparameters.GlobalBatchSize = 10).Build();

        var job = await SubmitAsync(scheduler, spec);

        // Ten samples on three ranks: the first has four. Each holds Fashion-MNIST.
        job.Memory.Total.ShouldBe(4000 + FashionMnistBytes);
        job.Memory.Process.ShouldBe(FashionMnistBytes);
        var query = scheduler.Agents.Descriptions.ShouldHaveSingleItem().Queries.ShouldHaveSingleItem();
        query.Layers.ShouldBeFalse();
        query.Optimizer.Name.ShouldBe("sgd");
        query.Model.Options["inputSize"].IntValue.ShouldBe(28);
    }

    [Theory]
    [InlineData(true, 3)]
    [InlineData(false, 1)]
    public async Task Submit_OfADividedOptimizer_AsksForARanksShareOfItsState(bool isDivided, int shares)
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        await scheduler.AddNodeAsync("node", devices: 4);
        scheduler.Agents.OnDescribe = AnswerAsync(_ => 1000L);
        var spec = AJob().WithDevices(3).With(s =>
        {
            s.Hyperparameters.Optimizer.Momentum = 0.9;
            s.Hyperparameters.ShardOptimizer = isDivided;
        }).Build();

        await SubmitAsync(scheduler, spec);

        var query = scheduler.Agents.Descriptions.ShouldHaveSingleItem().Queries.ShouldHaveSingleItem();
        query.StateShares.ShouldBe(shares);
        query.GradientsSummed.ShouldBeTrue();
    }

    [Fact]
    public async Task Submit_OfPicturesInFiles_CountsWhatDecodingThemMayTake()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node");
        scheduler.Agents.OnDescribe = AnswerAsync(_ => 5);
        var spec = AJob().With(s =>
        {
            s.Model.Name = "alexnet";
            s.Data = new DataSpec { Name = "image-folder", Folder = "photos", Classes = 10, DecodingMemoryMib = 100 };
        }).Build();

        var job = await SubmitAsync(scheduler, spec, waitForCapacity: true);

        job.Memory.Total.ShouldBe(5 + (100L << 20));
    }

    [Theory]
    [InlineData(0, 6)] // 12 micro-batches a slice, of 2 samples or 1; the first stage holds 3 of them
    [InlineData(2, 20)] // no more than there are
    public async Task Submit_OfAPipeline_AsksForTheWholeNetworkWithTheMicroBatchesOfTheFirstStage(int microBatches, int images)
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node", devices: 6);
        scheduler.Agents.OnDescribe = AnswerAsync(query => query.RankBatchSize);
        var spec = AJob().WithDevices(6).With(s =>
        {
            s.Hyperparameters.GlobalBatchSize = 40;
            s.Hyperparameters.MicroBatches = microBatches;
            s.Mesh = new MeshSpec { Data = 2, Model = 1, Pipeline = 3 };
            s.Parallelism = Parallelism.Pipeline;
        }).Build();

        await SubmitAsync(scheduler, spec);

        var query = scheduler.Agents.Descriptions.Single().Queries.Single();
        query.RankBatchSize.ShouldBe(images);
        query.Parts.ShouldBe(1);
    }

    [Fact]
    public async Task SubmitsThatAskTheSame_AskOnce()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node");
        scheduler.Agents.OnDescribe = AnswerAsync(_ => 5);

        var jobs = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => SubmitAsync(scheduler, AJob().With(s => s.Seed = (ulong)i + 1).Build())));

        jobs.ShouldAllBe(job => job.Memory.Total == 5 + FashionMnistBytes);
        scheduler.Agents.Descriptions.ShouldHaveSingleItem().Queries.Count.ShouldBe(1);
    }

    [Fact]
    public async Task QuestionsThatComeWhileOneIsAnswered_AreAskedTogether()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node");
        var (asked, answer) = (new TaskCompletionSource(), new TaskCompletionSource());
        scheduler.Agents.OnDescribe = async (agent, request) =>
        {
            asked.TrySetResult();
            await answer.Task;
            return await AnswerAsync(query => query.RankBatchSize)(agent, request);
        };
        var inquiry = scheduler.Get<ModelInquiry>();

        var first = inquiry.AskAsync(Query(1), TimeSpan.FromMinutes(1), Token);
        await asked.Task;
        var others = Enumerable.Range(2, 10).Select(batch => inquiry.AskAsync(Query(batch), TimeSpan.FromMinutes(1), Token)).ToList();
        answer.SetResult();

        (await first)!.Answer!.Description.Memory.Total.ShouldBe(1);
        (await Task.WhenAll(others)).Select(finding => finding!.Answer!.Description.Memory.Total)
            .ShouldBe(Enumerable.Range(2, 10).Select(batch => (long)batch));
        scheduler.Agents.Descriptions.Select(request => request.Queries.Count).ShouldBe([1, 10]);
    }

    [Fact]
    public async Task AnswersThatAreMissing_AreAskedAgain_ButNotTheOneThatEndedTheProcess()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node");
        var (asked, answer) = (new TaskCompletionSource(), new TaskCompletionSource());
        scheduler.Agents.OnDescribe = async (_, request) =>
        {
            asked.TrySetResult();
            await answer.Task;
            // A batch of 13 ends the process.
            var answers = request.Queries.TakeWhile(query => query.RankBatchSize != 13).Select(query => Answer(query.RankBatchSize));
            return DescribeResult.Of(new DescribeModelsResponse { Answers = { answers } });
        };
        var inquiry = scheduler.Get<ModelInquiry>();

        var first = inquiry.AskAsync(Query(1), TimeSpan.FromMinutes(1), Token);
        await asked.Task;
        var others = new[] { 12, 13, 14 }.Select(batch => inquiry.AskAsync(Query(batch), TimeSpan.FromMinutes(1), Token)).ToList();
        answer.SetResult();
        await first;

        (await Task.WhenAll(others)).Select(finding => finding!.Answer?.Description.Memory.Total).ShouldBe([12, null, 14]);
        (await others[1])!.Why.ShouldBe("the process that was to build lenet5 on node node ended before it had");
    }

    [Fact]
    public async Task Submit_WithoutANodeThatAnswers_IsQueuedWithoutAnEstimate()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres, ("Models:ForecastPatience", "00:00:00.2"));

        var nobody = await SubmitAsync(scheduler, AJob().Build(), waitForCapacity: true);
        await scheduler.AddNodeAsync("node");
        var unable = await SubmitAsync(scheduler, AJob().Build());
        var late = new TaskCompletionSource();
        scheduler.Agents.OnDescribe = async (_, _) =>
        {
            await late.Task;
            return DescribeResult.None("too late");
        };
        var silent = await SubmitAsync(scheduler, AJob().Build());
        // The scheduler's end would wait for the answer.
        late.SetResult();

        new[] { nobody, unable, silent }.ShouldAllBe(job => job.State != JobState.Failed && job.Memory == null);
    }

    [Fact]
    public async Task Job_OfWhatNoNodesMemoryHolds_IsInfeasibleOnceThatIsKnown_AndRefusedFromThenOn()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node", devices: 2);
        scheduler.Agents.OnDescribe = AnswerAsync(query => query.RankBatchSize * Gib);
        const string Words = "its rank is expected to take 8.1 GiB of memory, for which the registered nodes that the job admits have "
            + "no room (the largest has 2.0 GiB in all)";

        var job = await SubmitAsync(scheduler, AJob().Build());
        await Eventually.HoldsAsync(async () =>
        {
            job = (await scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = job.Id })).Job;
            return job.ReasonCode == "infeasible";
        });

        job.State.ShouldBe(JobState.Queued);
        job.Reason.ShouldStartWith(Words);
        var again = await Should.ThrowAsync<RpcException>(() => SubmitAsync(scheduler, AJob().Build()));
        (again.StatusCode, again.Status.Detail[..Words.Length]).ShouldBe((StatusCode.FailedPrecondition, Words));
        (await SubmitAsync(scheduler, AJob().Build(), waitForCapacity: true)).State.ShouldBe(JobState.Queued);
    }

    /// <summary>Who asks before waits for the answer.</summary>
    [Fact]
    public async Task Validate_OfWhatNoNodesMemoryHolds_IsRefusedWithTheNumbers_ForAJobAndForAVariant()
    {
        await using var scheduler = await StartAsync();
        await scheduler.AddNodeAsync("node", devices: 2);
        scheduler.Agents.OnDescribe = AnswerAsync(query => query.RankBatchSize * Gib);
        const string Yaml = "model: lenet5\ndata: fashion-mnist\nmatrix: {hyperparameters.globalBatchSize: [1, 3]}\n";

        var job = await Should.ThrowAsync<RpcException>(
            async () => await scheduler.Jobs().ValidateJobAsync(new ValidateJobRequest { Spec = AJob().Build() }));
        var experiment = await Should.ThrowAsync<RpcException>(
            async () => await scheduler.Experiments().ValidateExperimentAsync(new ValidateExperimentRequest { Yaml = Yaml }));
        var submitted = await Should.ThrowAsync<RpcException>(async () => await scheduler.Experiments().SubmitExperimentAsync(
            new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = Yaml }));

        job.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        job.Status.Detail.ShouldStartWith("its rank is expected to take 8.1 GiB of memory");
        experiment.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        experiment.Status.Detail.ShouldStartWith("variant globalBatchSize=3: its rank is expected to take 3.1 GiB");
        submitted.Status.Detail.ShouldBe(experiment.Status.Detail, "by now that is known");
    }

    [Fact]
    public async Task Describe_GivesLayersAndMemory_OrSaysWhyNot()
    {
        await using var scheduler = await StartAsync();
        var models = new ModelService.ModelServiceClient(scheduler.As(TestScheduler.ViewerToken));
        var request = new DescribeModelRequest { Model = new ModelSpec { Name = "alexnet" }, BatchSize = 7 };

        await RefusedAsync(request, StatusCode.FailedPrecondition, "no node is ready; start a worker");
        await scheduler.AddNodeAsync("node");
        await RefusedAsync(request, StatusCode.FailedPrecondition, "node node gave no answer (a test's agent builds no models)");
        await RefusedAsync(
            new DescribeModelRequest { Model = new ModelSpec { Name = "alexnat" } }, StatusCode.InvalidArgument, "did you mean alexnet?");
        await RefusedAsync(new DescribeModelRequest { Model = new ModelSpec { Name = "alexnet" }, BatchSize = -1 },
            StatusCode.InvalidArgument, "batch_size is -1");
        scheduler.Agents.OnDescribe = AnswerAsync(query => query.Layers ? query.RankBatchSize : 0);
        var described = await models.DescribeModelAsync(request, cancellationToken: Token);

        described.Description.Memory.Total.ShouldBe(7);
        described.Model.Options["inputSize"].IntValue.ShouldBe(224);
        scheduler.Agents.OnDescribe = (_, _) =>
            Task.FromResult(DescribeResult.Of(new DescribeModelsResponse { Answers = { new ModelAnswer { Fault = "too wide" } } }));
        await RefusedAsync(new DescribeModelRequest { Model = new ModelSpec { Name = "lenet5" } }, StatusCode.InvalidArgument, "too wide");

        async Task RefusedAsync(DescribeModelRequest wrong, StatusCode code, string detail)
        {
            var refusal = await Should.ThrowAsync<RpcException>(
                async () => await models.DescribeModelAsync(wrong, cancellationToken: Token));
            refusal.StatusCode.ShouldBe(code);
            refusal.Status.Detail.ShouldContain(detail);
        }
    }

    // Where the answer counts, a job waits for it as long as it may, however busy the machine.
    private Task<TestScheduler> StartAsync() => TestScheduler.StartAsync(postgres, ("Models:ForecastPatience", "00:05:00"));

    private static ModelQuery Query(int batch) => new() { Model = new ModelSpec { Name = "lenet5" }, RankBatchSize = batch };

    private static Func<AgentEndpoint, DescribeModelsRequest, Task<DescribeResult>> AnswerAsync(Func<ModelQuery, long> bytes) =>
        (_, request) =>
            Task.FromResult(
                DescribeResult.Of(new DescribeModelsResponse { Answers = { request.Queries.Select(query => Answer(bytes(query))) } }));

    private static ModelAnswer Answer(long bytes) =>
        new() { Description = new ModelDescription { Memory = new MemoryEstimate { Total = bytes } } };

    /// <returns>The job once its forecast is there, or known not to come.</returns>
    private static async Task<Job> SubmitAsync(TestScheduler scheduler, JobSpec spec, bool waitForCapacity = false)
    {
        var job = (await scheduler.Jobs().SubmitJobAsync(
            new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = spec, WaitForCapacity = waitForCapacity })).Job;
        await Eventually.HoldsAsync(async () => (await GetAsync()).ReasonCode != "waiting_for_forecast");
        // Once more, since it may have gone on while it was read.
        return await GetAsync();

        async Task<Job> GetAsync() => (await scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = job.Id })).Job;
    }
}
