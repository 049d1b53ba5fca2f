using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Cli.Tests.Experiments;

public sealed class ExperimentVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Submit_OfAFileWithAMatrix_SubmitsAnExperiment()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.ExperimentYaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "--wait-for-capacity")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe($"experiment {Builders.ExperimentId} activations: 2 jobs, 1 succeeded, 1 running\n");
        var request = cluster.SubmittedExperiments.ShouldHaveSingleItem();
        request.Yaml.ShouldBe(Builders.ExperimentYaml);
        request.WaitForCapacity.ShouldBeTrue();
        cluster.Submitted.ShouldBeEmpty();
    }

    [Fact]
    public async Task Submit_OfAWrongVariant_SaysSoAndAsksNobody()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.ExperimentYaml.Replace("tanh", "tahn") };

        (await run.RunAsync(Cancellation, "job", "submit", "-")).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(
            "line 4: variant activation=tahn: model.options.activation is tahn but must be relu or tanh; did you mean tanh?\n");
        cluster.SubmittedExperiments.ShouldBeEmpty();
    }

    [Fact]
    public async Task Follow_TellsEachJobsStatesAndEpochs_AndEndsWithTheTable()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.WatchExperiment = async stream =>
        {
            await stream.WriteAsync(Message(Builders.AnExperiment(JobState.Running)), Cancellation);
            // A step further within the epoch is no news.
            await stream.WriteAsync(Message(Builders.AnExperiment(JobState.Running)), Cancellation);
            await stream.WriteAsync(Message(Builders.AnExperiment(JobState.Succeeded, JobState.Failed)), Cancellation);
        };
        var run = new CliRun(cluster) { In = Builders.ExperimentYaml };

        (await run.RunAsync(Cancellation, "job", "submit", "-", "-f")).ShouldBe(ExitCode.Failed);

        var lines = run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.Length.ShouldBe(1 + 2 + 2 + 3);
        lines[1].ShouldEndWith("relu  running  epoch 2/5, step 300/2150, loss 0.4313, validation 86.0 %, 8,512 images/s");
        lines[4].ShouldEndWith("tanh  failed");
        lines[5].ShouldStartWith("VARIANT");
        lines[6].ShouldStartWith("relu     0f3c9a1b  succeeded  5/5");
    }

    [Fact]
    public async Task Follow_OnATerminal_ShowsAllJobs()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.WatchExperiment = async stream =>
        {
            await stream.WriteAsync(Message(Builders.AnExperiment(JobState.Running)), Cancellation);
            await stream.WriteAsync(Message(Builders.AnExperiment(JobState.Succeeded, JobState.Succeeded)), Cancellation);
        };
        var run = new CliRun(cluster) { IsTerminal = true };

        (await run.RunAsync(Cancellation, "experiment", "watch", Builders.ExperimentId)).ShouldBe(ExitCode.Done);

        run.Out.ShouldContain("activations 7b1e5c02  2 running");
        run.Out.ShouldContain("━");
        run.Out.ShouldContain("VARIANT");
    }

    [Fact]
    public async Task Follow_AsJson_PrintsAMessageALine()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.WatchExperiment = stream =>
            stream.WriteAsync(Message(Builders.AnExperiment(JobState.Succeeded, JobState.Succeeded)), Cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "watch", "7b1e", "--json")).ShouldBe(ExitCode.Done);

        JsonParser.Default.Parse<WatchExperimentResponse>(run.Out).Jobs.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Follow_OfAnEndThatComesInSeveralMessages_TellsAllOfIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var over = Builders.AnExperiment(JobState.Succeeded, JobState.Failed);
        cluster.WatchExperiment = async stream =>
        {
            foreach (var job in over.Jobs)
                await stream.WriteAsync(new WatchExperimentResponse { Experiment = over.Experiment, Jobs = { job } }, Cancellation);
        };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "watch", "7b1e")).ShouldBe(ExitCode.Failed);

        run.Out.ShouldContain("relu     0f3c9a1b  succeeded");
        run.Out.ShouldContain("tanh     0f3c9a1b  failed");
    }

    [Fact]
    public async Task AnswersOfSeveralPages_AreOne()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.PageSize = 1;
        var (describe, submit, cancel) = (new CliRun(cluster), new CliRun(cluster) { In = Builders.ExperimentYaml }, new CliRun(cluster));

        await describe.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--json");
        await submit.RunAsync(Cancellation, "job", "submit", "-", "--json");
        await cancel.RunAsync(Cancellation, "experiment", "cancel", "7b1e", "--json");

        JsonParser.Default.Parse<GetExperimentResponse>(describe.Out).ShouldBe(cluster.Experiment);
        JsonParser.Default.Parse<SubmitExperimentResponse>(submit.Out).ShouldBe(
            new SubmitExperimentResponse { Experiment = cluster.Experiment.Experiment, Jobs = { cluster.Experiment.Jobs } });
        JsonParser.Default.Parse<CancelExperimentResponse>(cancel.Out).ShouldBe(
            new CancelExperimentResponse { Experiment = cluster.Experiment.Experiment, Jobs = { cluster.Experiment.Jobs } });
    }

    [Fact]
    public async Task ValuesThatAreNotFinite_AreShownAsWhatTheyAre_AndReachNoGoal()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var progress = cluster.Experiment.Jobs[0].Progress;
        (progress.TrainLoss, progress.TestAccuracy, progress.SamplesPerSecond) = (
            double.NegativeInfinity, double.NaN, double.PositiveInfinity);
        foreach (var (epoch, value) in new[] { (1, double.NegativeInfinity), (2, double.NaN), (2, 0.1), (3, 0.5) })
            cluster.Points.Add(
                new MetricPoint { Name = "train/loss", Epoch = epoch, Step = epoch, Value = value, Time = Builders.At(epoch - 75) });
        cluster.WatchExperiment = stream => stream.WriteAsync(
            new WatchExperimentResponse
            {
                Experiment = Builders.AnExperiment(JobState.Succeeded, JobState.Succeeded).Experiment,
                Jobs = { Ended(cluster.Experiment.Jobs) },
            }, Cancellation);
        var (table, json, live) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster) { IsTerminal = true });

        await table.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--reach", "train/loss=0.7");
        await json.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--json");
        (await live.RunAsync(Cancellation, "experiment", "watch", "7b1e")).ShouldBe(ExitCode.Done);

        var row = table.Out.Split('\n').Single(line => line.StartsWith("relu", StringComparison.Ordinal));
        string.Join(' ', row.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ShouldBe(
            "relu 0f3c9a1b succeeded 5/5 - 86.0 % NaN % -Infinity - - 1m 10s Infinity epoch 3, step 3, 3s");
        JsonParser.Default.Parse<GetExperimentResponse>(json.Out).ShouldBe(cluster.Experiment);
        json.Out.ShouldContain("\"trainLoss\": \"-Infinity\"");
        live.Out.ShouldContain("-Infinity");

        static IEnumerable<Job> Ended(IEnumerable<Job> jobs) => jobs.Select(job =>
        {
            var ended = job.Clone();
            ended.State = JobState.Succeeded;
            return ended;
        });
    }

    [Fact]
    public async Task Describe_PutsTheJobsSideBySide_AsTextMarkdownAndJson()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (text, markdown, json, both) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));

        await text.RunAsync(Cancellation, "experiment", "describe", "7b1e");
        await markdown.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--markdown");
        await json.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--json");
        (await both.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--json", "--markdown")).ShouldBe(ExitCode.Usage);

        text.Out.ShouldContain("jobs        2 jobs, 1 succeeded, 1 running\n");
        text.Out.ShouldContain(
            "relu     0f3c9a1b  succeeded  5/5    -      86.0 %      89.3 %  0.4313      -                -          1m 10s  8,512\n");
        text.Out.ShouldContain("  matrix: {model.options.activation: [relu, tanh]}\n");
        markdown.Out.ShouldContain("| relu | 0f3c9a1b | succeeded | 5/5 |  | 86.0 % | 89.3 % | 0.4313 |  |  | 1m 10s | 8,512 |\n");
        markdown.Out.ShouldContain("|---|---|---|---:|");
        JsonParser.Default.Parse<GetExperimentResponse>(json.Out).ShouldBe(cluster.Experiment);
        both.Error.ShouldBe("--json goes with neither --markdown nor --reach; choose one\n");
    }

    [Fact]
    public async Task Describe_WithAGoal_TellsTheFirstEpochWhoseMeanReachesIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        // One batch of the first epoch is good enough, its mean is not; the second epoch's is.
        foreach (var (epoch, step, value) in new[] { (1, 10, 0.8), (1, 20, 0.6), (2, 30, 0.7), (2, 40, 0.9), (3, 50, 1.0) })
            cluster.Points.Add(
                new MetricPoint { Name = "train/accuracy", Epoch = epoch, Step = step, Value = value, Time = Builders.At(step - 75) });
        var (near, far, less) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));

        await near.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--reach", "train/accuracy=0.75");
        await far.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--reach", "train/accuracy=1.5", "--markdown");
        await less.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--reach", "train/loss=0.7", "--markdown");

        near.Out.ShouldContain("IMAGES/S  TRAIN/ACCURACY ≥ 0.75\n");
        near.Out.ShouldContain("8,512     epoch 2, step 40, 40s\n");
        far.Out.ShouldContain("| 8,512 |  |\n");
        less.Out.ShouldContain("train/loss ≤ 0.7 |\n");
        less.Out.ShouldContain("| epoch 1, step 20, 20s |\n");
    }

    [Theory]
    [InlineData("train/accuracy", "--reach is train/accuracy but must be a series and a value; write it as train/accuracy=0.75\n")]
    [InlineData(
        "train/acuracy=0.75", "--reach names the series train/acuracy, of which there is none to reach; did you mean train/accuracy?\n")]
    public async Task Describe_WithNoGoal_SaysHowToWriteOne(string goal, string error)
    {
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "experiment", "describe", "7b1e", "--reach", goal)).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(error);
    }

    [Fact]
    public async Task List_ShowsStates_AndJobListTakesTheExperiment()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (list, jobs) = (new CliRun(cluster), new CliRun(cluster));

        await list.RunAsync(Cancellation, "experiment", "list");
        await jobs.RunAsync(Cancellation, "job", "list", "--experiment", "7b1e");

        list.Out.ShouldContain("7b1e5c02    activations  ada    2     1 succeeded, 1 running");
        cluster.Listed.ShouldHaveSingleItem().ExperimentId.ShouldBe("7b1e");
    }

    [Fact]
    public async Task Cancel_PassesTheReasonOn()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "cancel", "7b1e", "--reason", "seen enough")).ShouldBe(ExitCode.Done);

        cluster.CancelledExperiments.ShouldHaveSingleItem()
            .ShouldBe(new CancelExperimentRequest { ExperimentId = "7b1e", Reason = "seen enough" });
        run.Out.ShouldStartWith($"experiment {Builders.ExperimentId} activations");
    }

    [Fact]
    public async Task Validate_OfAnExperiment_PrintsEachJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (online, offline, json) = (new CliRun(cluster) { In = Builders.ExperimentYaml }, new CliRun { In = Builders.ExperimentYaml },
            new CliRun(cluster) { In = Builders.ExperimentYaml });

        (await online.RunAsync(Cancellation, "validate", "-")).ShouldBe(ExitCode.Done);
        (await offline.RunAsync(Cancellation, "validate", "-", "--offline")).ShouldBe(ExitCode.Done);
        await json.RunAsync(Cancellation, "validate", "-", "--json");

        online.Out.ShouldBe(offline.Out);
        online.Out.ShouldStartWith("# - is valid; its 2 jobs with every default written down:\n---\n# variant activation=relu\nname: "
            + "activations-activation-relu\n");
        online.Out.ShouldContain("# variant activation=tanh\n");
        JsonParser.Default.Parse<ValidateExperimentResponse>(json.Out).Variants.Count.ShouldBe(2);
    }

    private static WatchExperimentResponse Message(GetExperimentResponse experiment) =>
        new() { Experiment = experiment.Experiment, Jobs = { experiment.Jobs } };

    [Fact]
    public async Task Describe_OfASearch_SaysHowFarItIs()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Experiment = ASearch();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "describe", "7b1e")).ShouldBe(ExitCode.Done);

        run.Out.ShouldContain(
            "search      asha, running: 9 trials came to epoch 1, 3 to 3; at most 16 trials, 4 at once; 1 failed; "
                + "by validation/accuracy\n");
    }

    [Fact]
    public async Task PauseResumeAndLimit_AskForIt_AndSayHowItStands()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Experiment = ASearch();
        foreach (var arguments in new string[][]
        {
            ["pause", "7b1e", "--reason", "not now"], ["resume", "7b1e"], ["limit", "7b1e", "--max-trials", "20", "--max-concurrent", "8"],
        })
        {
            var run = new CliRun(cluster);
            (await run.RunAsync(Cancellation, ["experiment", .. arguments])).ShouldBe(ExitCode.Done);
            run.Out.ShouldStartWith($"experiment {Builders.ExperimentId} activations: 2 jobs");
        }

        cluster.SearchRequests.ShouldBe(
        [
            new PauseExperimentRequest { ExperimentId = "7b1e", Reason = "not now" },
            new ResumeExperimentRequest { ExperimentId = "7b1e" },
            new LimitExperimentRequest { ExperimentId = "7b1e", MaxTrials = 20, MaxConcurrent = 8 },
        ]);
    }

    [Fact]
    public async Task Limit_OfNothing_SaysWhatIsMissing()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "limit", "7b1e")).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe("nothing is to be changed; give --max-trials, --max-concurrent or both\n");
    }

    [Fact]
    public async Task Best_NamesTheTrialThatTheSearchFoundBest_AndWithoutASearchTheMostAccurateJob()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (found, other) = (new CliRun(cluster), new CliRun(cluster));
        cluster.Experiment = ASearch();

        (await found.RunAsync(Cancellation, "experiment", "best", "7b1e")).ShouldBe(ExitCode.Done);
        cluster.Experiment = Builders.AnExperiment();
        cluster.Experiment.Jobs[0].Progress.ValidationAccuracy = 0.5;
        (await other.RunAsync(Cancellation, "experiment", "best", "7b1e")).ShouldBe(ExitCode.Done);

        found.Out.ShouldBe($"job {Builders.AnExperiment().Jobs[1].Id} tanh: validation/accuracy 0.8125 at epoch 3\n");
        other.Out.ShouldBe($"job {Builders.AnExperiment().Jobs[1].Id} tanh: validation/accuracy 86.0 %\n");
    }

    [Fact]
    public async Task Best_OfAnEpochThatIsNotKept_SaysWhichOneItWrites()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Experiment = ASearch();
        cluster.Checkpoints = _ => new ListCheckpointsResponse { Checkpoints = { new Checkpoint { Id = "0123", Epoch = 5 } } };
        var run = new CliRun(cluster);
        var folder = Directory.CreateTempSubdirectory("best-");

        await run.RunAsync(Cancellation, "experiment", "best", "7b1e", "-o", folder.FullName);

        folder.Delete(recursive: true);
        run.Error.ShouldContain("the weights of epoch 3 are not kept; these are of epoch 5, the newest\n");
    }

    /// <summary>All of its trials are over, and others will come.</summary>
    [Fact]
    public async Task Follow_OfASearch_GoesOnUntilThatHasEnded()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (between, end) = (ASearch(JobState.Succeeded), ASearch(JobState.Succeeded));
        end.Experiment.Search.Phase = SearchPhase.Ended;
        var streams = 0;
        cluster.WatchExperiment = stream => stream.WriteAsync(Message(streams++ == 0 ? between : end), Cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "experiment", "watch", "7b1e")).ShouldBe(ExitCode.Done);

        streams.ShouldBe(2, "a stream that ends before that is one that broke");
    }

    private static GetExperimentResponse ASearch(JobState state = JobState.Running)
    {
        var found = Builders.AnExperiment(state, state);
        found.Experiment.Search = new SearchStanding
        {
            Searcher = "asha",
            Phase = SearchPhase.Running,
            Metric = "validation/accuracy",
            MaxTrials = 16,
            MaxConcurrent = 4,
            Rungs = { new Rung { Epochs = 1, Trials = 9 }, new Rung { Epochs = 3, Trials = 3 }, new Rung { Epochs = 9 } },
            Failed = 1,
            Best = new BestTrial { JobId = found.Jobs[1].Id, Metric = 0.8125, Epochs = 3 },
        };
        return found;
    }
}
