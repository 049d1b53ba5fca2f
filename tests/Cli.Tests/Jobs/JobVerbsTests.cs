using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Cli.Tests.Jobs;

public sealed class JobVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task List_PrintsATable()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var waiting = Builders.AJob(job => job.ReasonCode = "waiting_for_devices");
        cluster.List = _ => new ListJobsResponse { Jobs = { waiting, Builders.ARunningJob(), Builders.AFinishedJob() } };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "list")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe("""
            JOB       NAME    MODEL   STATE      EPOCH  ACCURACY  DEVICES  PRIORITY  TIME    CODE                 REASON
            0f3c9a1b  lenet5  lenet5  queued     -      -         1        0         -       waiting_for_devices  waits for 2 devices
            0f3c9a1b  lenet5  lenet5  running    2/5    86.0 %    1        0         1m 15s  -                    -
            0f3c9a1b  lenet5  lenet5  succeeded  5/5    89.3 %    1        0         1m 10s  -                    -

            """);
    }

    [Fact]
    public async Task List_AsksForPagesUntilItHasEnough()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.List = request =>
            new ListJobsResponse { Jobs = { Enumerable.Repeat(Builders.AJob(), Math.Min(request.PageSize, 2)) }, NextPageToken = "more" };
        var run = new CliRun(cluster);

        await run.RunAsync(
            Cancellation, "job", "list", "--limit", "5", "--state", "queued", "--state", "running", "--workspace", "vision", "--json");

        cluster.Listed.Select(request => (request.PageSize, request.PageToken)).ShouldBe([(5, ""), (3, "more"), (1, "more")]);
        cluster.Listed.ShouldAllBe(request => request.Workspace == "vision" && request.States.Count == 2);
        JsonParser.Default.Parse<ListJobsResponse>(run.Out).Jobs.Count.ShouldBe(5);
    }

    [Fact]
    public async Task Describe_PrintsAllThereIsToKnow()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var job = Builders.AFinishedJob();
        job.Restarts = 1;
        job.Spec.Given.Add("seed");
        cluster.Get = _ => new GetJobResponse
        {
            Job = job,
            Events = { Builders.AnEvent(1, JobState.Queued, "submitted"), Builders.AnEvent(2, JobState.Starting) },
        };
        cluster.Checkpoints = request => new ListCheckpointsResponse
        {
            Checkpoints = { new Checkpoint
            {
                Id = request.JobId,
                Step = 430,
                Epoch = 1,
                Bytes = 524288,
                ValidationAccuracy = 0.85,
                CreatedAt = Builders.At(-50),
            } },
        };
        cluster.Run.Environment = new RunEnvironment { MemoryFormat = MemoryFormats.ChannelsLast };
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "describe", "0f3c")).ShouldBe(ExitCode.Done);

        var file = string.Concat(JobFile.Write(job.Spec).TrimEnd().Split('\n')
            .Select(line => $"  {line}{(line.StartsWith("seed:", StringComparison.Ordinal) ? "  # set by hand" : "")}\n"));
        run.Out.ShouldBe($"""
            job       {Builders.JobId}
            name      lenet5
            owner     ada
            queue     default, priority 0
            state     succeeded
            created   {Clock(-90)}
            started   {Clock(-75)}
            finished  {Clock(-5)}
            ran       1m 10s
            attempt   1 (1 restart)
            places    worker-1 cpu:0, worker-2 cpu:0
            images    channelsLast
            figures   epoch 5/5, step 2150/2150, loss 0.4313, validation 86.0 %, test 89.3 %, 8,512 images/s

            events
              TIME                 ATTEMPT  STATE     REASON
              {Clock(-99)}  1        queued    submitted
              {Clock(-98)}  1        starting  -

            checkpoints
              CHECKPOINT                            STEP  EPOCH  MIB  VALIDATION  TIME
              0f3c9a1b-77e2-4c01-9d8e-0123456789ab  430   1      0.5  85.0 %      {Clock(-50)}

            job file

            """ + file);
    }

    [Fact]
    public async Task Describe_OfAWaitingJob_TellsWhenItStarts_AndWhatItLostForOthers()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Get = _ => new GetJobResponse
        {
            Job = Builders.AJob(job =>
            {
                job.ReasonCode = "waiting_for_devices";
                job.Queue = new QueueStanding
                {
                    Position = 2,
                    EstimatedStart = Builders.At(60),
                    LateStart = Builders.At(90),
                    Sooner = { "with 1 device instead of 2", "when job x ends" },
                };
                job.Preemptions = 3;
                job.LastPreemption = new Preemption
                {
                    Time = Builders.At(-9),
                    Reason = "preempted for job y",
                    LostDeviceSeconds = 90,
                };
            }),
        };
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "job", "describe", "0f3c");

        run.Out.ShouldContain("\ncode      waiting_for_devices\n");
        run.Out.ShouldContain($"""
            preempted 3 times, last {Clock(-9)}: preempted for job y; lost 1.5 device-minutes
            estimate  starts about {Clock(60)}, by {Clock(90)} with 9 chances in 10
            sooner    with 1 device instead of 2; when job x ends

            """);
    }

    [Fact]
    public async Task Describe_OfAnElasticJob_TellsHowManyDevicesItHas_AndMayHave_AndWhyThatChanged()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var job = Builders.ARunningJob();
        (job.Spec.Resources.MinDevices, job.Spec.Resources.Devices) = (1, 4);
        cluster.Get = _ => new GetJobResponse { Job = job };
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "job", "describe", "0f3c");
        job.LastResize = new Resize { Time = Builders.At(-9), FromDevices = 1, ToDevices = 2, Reason = "grows from 1 device to 2" };
        await run.RunAsync(Cancellation, "job", "describe", "0f3c");

        run.Out.ShouldContain("\ndevices   2 of 1 to 4\n");
        run.Out.ShouldContain($"\ndevices   2 of 1 to 4; last changed {Clock(-9)}: grows from 1 device to 2\n");
    }

    [Theory]
    [InlineData("queue product, priority 0", "move", "product")]
    [InlineData("queue default, priority -5", "priority", "-5")]
    public async Task MoveAndPriority_ChangeThatAlone(string said, string verb, string value)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", verb, "0f3c", value)).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe($"job {Builders.JobId} lenet5: {said}\n");
        var request = cluster.Updated.ShouldHaveSingleItem();
        (request.HasQueue, request.HasPriority).ShouldBe((verb == "move", verb == "priority"));
    }

    [Fact]
    public async Task Describe_AsJson_PrintsTheAnswer()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "job", "describe", "0f3c", "--json");

        JsonParser.Default.Parse<GetJobResponse>(run.Out).Job.ShouldBe(Builders.AJob());
    }

    [Fact]
    public async Task Logs_PrintLinesWithoutWhatATerminalWouldObey()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Logs = (_, stream, cancellation) => stream.WriteAsync(new StreamLogsResponse
        {
            Lines =
            {
                new LogLine { Time = Builders.At(1), Attempt = 1, Rank = 0, Stream = LogStream.Stdout, Text = "step 1\u001b[31m" },
                new LogLine { Time = Builders.At(2), Attempt = 1, Rank = 1, Stream = LogStream.Agent, Text = "killed by SIGKILL" },
            },
        }, cancellation);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f", "--tail", "10", "--rank", "1")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe($"{Clock(1)} [1/0] step 1 [31m\n{Clock(2)} [1/1 agent] killed by SIGKILL\n");
        cluster.Logged.ShouldHaveSingleItem().ShouldBe(new StreamLogsRequest { JobId = "0f3c", Follow = true, Tail = 10, Rank = 1 });
    }

    [Fact]
    public async Task Logs_WithAPattern_PrintOnlyLinesInWhichItIsFound()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Logs = (_, stream, cancellation) => stream.WriteAsync(new StreamLogsResponse
        {
            Lines =
            {
                new[] { "loss 0.5", "a checkpoint", "loss NaN" }.Select(
                    (text, line) => new LogLine { Time = Builders.At(line), Attempt = 1, Text = text }),
            },
        }, cancellation);
        var (run, wrong) = (new CliRun(cluster), new CliRun(cluster));

        (await run.RunAsync(Cancellation, "job", "logs", "0f3c", "-f", "--grep", "^loss|check[a-z]+x")).ShouldBe(ExitCode.Done, run.Error);
        (await wrong.RunAsync(Cancellation, "job", "logs", "0f3c", "--grep", "(")).ShouldBe(ExitCode.Usage);

        run.Out.ShouldBe($"{Clock(0)} [1/0] loss 0.5\n{Clock(2)} [1/0] loss NaN\n");
        wrong.Error.ShouldBe("--grep is (, which is no regular expression; write it as loss|nan; see ./cluster job logs --help\n");
    }

    [Fact]
    public async Task Logs_OfRankZero_AreNotThoseOfAllRanks()
    {
        await using var cluster = await FakeCluster.StartAsync();

        await new CliRun(cluster).RunAsync(Cancellation, "job", "logs", "0f3c", "--rank", "0");
        await new CliRun(cluster).RunAsync(Cancellation, "job", "logs", "0f3c");

        cluster.Logged.Select(request => request.HasRank).ShouldBe([true, false]);
    }

    [Fact]
    public async Task Cancel_PassesItsReasonOn()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "cancel", "0f3c", "--reason", "wrong data")).ShouldBe(ExitCode.Done);

        cluster.Cancelled.ShouldHaveSingleItem().Reason.ShouldBe("wrong data");
        run.Out.ShouldBe($"job {Builders.JobId} lenet5: cancelled (waits for 2 devices)\n");
    }

    [Fact]
    public async Task PauseAndResume_SayWhatTheJobIsNow()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (pause, resume) = (new CliRun(cluster), new CliRun(cluster));

        (await pause.RunAsync(Cancellation, "job", "pause", "0f3c", "--reason", "the demo is first")).ShouldBe(ExitCode.Done);
        (await resume.RunAsync(Cancellation, "job", "resume", "0f3c")).ShouldBe(ExitCode.Done);

        cluster.Paused.ShouldHaveSingleItem().ShouldBe(new PauseJobRequest { JobId = "0f3c", Reason = "the demo is first" });
        cluster.Resumed.ShouldHaveSingleItem().JobId.ShouldBe("0f3c");
        pause.Out.ShouldBe($"job {Builders.JobId} lenet5: paused (paused by ada: the demo is first)\n");
        resume.Out.ShouldBe($"job {Builders.JobId} lenet5: queued (waits for 2 devices)\n");
    }

    [Fact]
    public async Task Validate_PrintsTheFileWithEveryDefault()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster) { In = Builders.Yaml };

        (await run.RunAsync(Cancellation, "validate", "-")).ShouldBe(ExitCode.Done);

        run.Out.ShouldStartWith("# - is valid; with every default written down:\nname: lenet5\n");
        JobFile.Parse(run.Out).ShouldBe(JobFile.Parse(Builders.Yaml));
    }

    [Fact]
    public async Task Validate_Offline_NeedsNoScheduler()
    {
        var run = new CliRun().With("CLUSTER_SERVER", "http://127.0.0.1:1");
        var offline = new CliRun { In = Builders.Yaml }.With("CLUSTER_SERVER", "http://127.0.0.1:1");

        (await offline.RunAsync(Cancellation, "validate", "-", "--offline", "--json")).ShouldBe(ExitCode.Done);
        (await run.RunAsync(Cancellation, "job", "list")).ShouldBe(ExitCode.Unreachable);

        JsonParser.Default.Parse<JobSpec>(offline.Out).ShouldBe(JobFile.Parse(Builders.Yaml));
        run.Error.ShouldStartWith("cannot reach the scheduler at http://127.0.0.1:1 (Connection refused");
        run.Error.ShouldEndWith("); start one with ./cluster up, or name another with --server or CLUSTER_SERVER\n");
    }

    private static string Clock(double seconds) => Words.Clock(Builders.At(seconds));
}
