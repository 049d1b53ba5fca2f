using System.Globalization;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Runs found by what was set and what came of it.</summary>
[Collection(typeof(ApiTests))]
public sealed class RunSearchTests(SharedScheduler shared)
{
    private TestScheduler Scheduler => shared.Scheduler;

    [Fact]
    public async Task Runs_AreFoundBySettingsAndFigures_InTheOrderAskedFor()
    {
        var workspace = $"search-{Guid.NewGuid():N}";
        var low = await SubmitAsync(workspace, "lenet5", 0.001, "a", """{"validationAccuracy": 0.7, "trainLoss": "NaN"}""");
        const string Both = """{"validationAccuracy": 0.5, "testAccuracy": 0.9, "trainLoss": 0.2}""";
        var high = await SubmitAsync(workspace, "lenet5", 0.1, "b", Both);
        var other = await SubmitAsync(workspace, "fourlayer_cnn", 0.1, "c", """{"testAccuracy": 0.8, "trainLoss": 0.1}""");
        var untrained = await SubmitAsync(workspace, "lenet5", 0.05, "d", progress: null);

        (await NamesAsync("lr > 0.01 and model = 'lenet5'", "")).ShouldBe([untrained, high]);
        (await NamesAsync("", "accuracy")).ShouldBe([high, other, low, untrained]);
        (await NamesAsync("", "accuracy asc")).ShouldBe([low, other, high, untrained]);
        (await NamesAsync("accuracy >= 0.8", "lr asc")).ShouldBe([other, high]);
        (await NamesAsync("", "loss")).ShouldBe([other, high, low, untrained], "NaN is worse than any number");
        (await NamesAsync("trainLoss is null or name in ('c', 'zzz')", "name")).ShouldBe([other, untrained]);
        (await NamesAsync("", "model desc")).ShouldBe([untrained, high, low, other]);
        (await NamesAsync("labels.team = 'vision'", "")).Count.ShouldBe(4);
        (await NamesAsync("labels.team = 'sound'", "")).ShouldBeEmpty();
        const string All = "state = 'queued' and created > '2000-01-01' and started is null and nesterov = false and beta1 is null";
        (await NamesAsync(All, "created asc")).ShouldBe([low, high, other, untrained]);

        Task<List<string>> NamesAsync(string where, string sort) => ListAsync(workspace, where, sort, pageSize: 100);
    }

    /// <summary>Many are equal in what they are sorted by, some have nothing.</summary>
    [Theory]
    [InlineData("accuracy")]
    [InlineData("accuracy asc")]
    [InlineData("model desc")]
    [InlineData("created")]
    [InlineData("nesterov")]
    [InlineData("")]
    public async Task Pages_OfASortedList_HaveEachRunOnce(string sort)
    {
        var workspace = $"pages-{Guid.NewGuid():N}";
        for (var run = 0; run < 11; run++)
        {
            var progress = run % 3 == 0 ? null : string.Create(CultureInfo.InvariantCulture, $$"""{"testAccuracy": {{run % 2 / 3.0}}}""");
            await SubmitAsync(workspace, run % 2 == 0 ? "lenet5" : "fourlayer_cnn", 0.1, $"run-{run}", progress);
        }

        var whole = await ListAsync(workspace, "", sort, pageSize: 100);
        var inPages = await ListAsync(workspace, "", sort, pageSize: 2);

        whole.Count.ShouldBe(11);
        inPages.ShouldBe(whole);
    }

    [Fact]
    public async Task Run_SaysWhereItBelongs_WhenItCame_AndItsLabels()
    {
        const string yaml = """
            name: activations
            model: fourlayer_cnn
            data: fashion-mnist
            labels: {team: vision}
            resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere}}
            matrix:
              model.options.activation: [relu]
            """;
        var submitted = await Scheduler.Experiments().SubmitExperimentAsync(
            new SubmitExperimentRequest { RequestId = $"{Guid.NewGuid()}", Yaml = yaml, WaitForCapacity = true });
        var job = submitted.Jobs.ShouldHaveSingleItem();

        var condition = $"experiment = '{submitted.Experiment.Id}' and variant = 'activation=relu' and queue = '{job.QueueName}'";
        var run = (await Scheduler.Runs().ListRunsAsync(new ListRunsRequest { Where = condition })).Runs.ShouldHaveSingleItem();

        (run.JobId, run.ExperimentId, run.Variant, run.Queue, run.CreatedAt)
            .ShouldBe((job.Id, submitted.Experiment.Id, "activation=relu", job.QueueName, job.CreatedAt));
        run.Labels.ShouldBe(new Dictionary<string, string> { ["team"] = "vision" });
    }

    [Fact]
    public async Task Search_ThatIsNone_IsRefusedWithItsPlace()
    {
        await RefusedAsync(new ListRunsRequest { Where = "lr >> 1" }, "where, character 5: there is >");
        await RefusedAsync(new ListRunsRequest { Where = "name = 'a\0b'" }, "control character");
        await RefusedAsync(new ListRunsRequest { Sort = "acuracy" }, "sort: there is no column 'acuracy'; did you mean accuracy?");
        await RefusedAsync(new ListRunsRequest { Sort = "loss down" }, "sort is 'loss down'");
        await RefusedAsync(new ListRunsRequest { Sort = "loss", PageToken = "1.2" }, "page_token is '1.2'");
        await RefusedAsync(new ListRunsRequest { Sort = "loss", PageToken = $"k6e6f.1.{Guid.Empty:N}" }, "page_token is");
        await RefusedAsync(new ListRunsRequest { Where = new string('(', 2001) }, "where has 2001 characters");

        async Task RefusedAsync(ListRunsRequest request, string said)
        {
            var refusal = await Should.ThrowAsync<RpcException>(async () => await Scheduler.Runs().ListRunsAsync(request));
            refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
            refusal.Status.Detail.ShouldContain(said);
        }
    }

    /// <returns>The run's name.</returns>
    private async Task<string> SubmitAsync(string workspace, string model, double rate, string name, string? progress)
    {
        var spec = JobSpecBuilder.AJob().With(s =>
        {
            (s.Workspace, s.Name, s.Model.Name) = (workspace, name, model);
            s.Labels["team"] = "vision";
            s.Hyperparameters.Optimizer.LearningRate = rate;
            s.Resources.NodeLabels["only"] = "nowhere";
        }).Build();
        var request = new SubmitJobRequest { RequestId = $"{Guid.NewGuid()}", Spec = spec, WaitForCapacity = true };
        var job = (await Scheduler.Jobs().SubmitJobAsync(request)).Job.Id;
        if (progress is not null)
            await Scheduler.ExecuteAsync($"insert into runs (job_id, progress) values ('{job}', '{progress}')");
        return name;
    }

    private async Task<List<string>> ListAsync(string workspace, string where, string sort, int pageSize)
    {
        var request = new ListRunsRequest
        {
            Where = $"workspace = '{workspace}'{(where.Length > 0 ? $" and ({where})" : "")}",
            Sort = sort,
            PageSize = pageSize,
        };
        var names = new List<string>();
        do
        {
            var page = await Scheduler.Runs().ListRunsAsync(request);
            names.AddRange(page.Runs.Select(run => run.Name));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return names;
    }
}
