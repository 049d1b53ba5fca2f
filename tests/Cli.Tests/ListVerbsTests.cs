using Cluster.Contracts.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Cli.Tests;

public sealed class ListVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NodeList_PrintsDevicesAndWhatIsFree()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node
        {
            Id = Builders.JobId,
            Name = "worker-1",
            State = NodeState.Ready,
            Devices =
            {
                new DeviceStatus { Device = new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1 }, JobId = Builders.JobId },
            },
            Labels = { ["zone"] = "a", ["rack"] = "7" },
            DataSets = { "fashion-mnist", "image-folder/my-photos", "synthetic" },
        });
        cluster.Nodes.Nodes.Add(new Node
        {
            Id = Builders.JobId,
            Name = "big",
            State = NodeState.Lost,
            Devices =
            {
                new DeviceStatus { Device = new Device { Id = "cuda:0", Kind = DeviceKind.Cuda, Model = "NVIDIA H200" } },
                new DeviceStatus { Device = new Device { Id = "cuda:1", Kind = DeviceKind.Cuda, Model = "NVIDIA H200" } },
            },
        });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe("""
            NODE      NAME      STATE  DEVICES             FREE  JOBS      DATA                                          LABELS
            0f3c9a1b  worker-1  ready  1×cpu (1 core)      0/1   0f3c9a1b  image-folder/my-photos,fashion-mnist,+1 more  rack=7,zone=a
            0f3c9a1b  big       lost   2×cuda NVIDIA H200  2/2   -         -                                             -

            """);
    }

    [Theory]
    [InlineData("job", "list")]
    [InlineData("node", "list")]
    [InlineData("queue", "list")]
    [InlineData("experiment", "list")]
    [InlineData("run", "list")]
    [InlineData("checkpoint", "list")]
    [InlineData("models")]
    [InlineData("token", "list")]
    [InlineData("workspace", "list")]
    [InlineData("webhook", "list")]
    [InlineData("audit", "list")]
    public async Task EveryList_IsCsvIfAskedTo(params string[] verb)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (run, table) = (new CliRun(cluster), new CliRun(cluster));

        (await run.RunAsync(Cancellation, [.. verb, "--csv"])).ShouldBe(ExitCode.Done, run.Error);
        await table.RunAsync(Cancellation, verb);

        var headings = run.Out.Split('\n')[0];
        headings.ShouldContain(',');
        headings.Split(',').ShouldBe(
            table.Out.Split('\n')[0].Split("  ", StringSplitOptions.RemoveEmptyEntries).Select(heading => heading.Trim()));
    }

    [Fact]
    public async Task NodeRemove_SaysWhatIsGone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node { Id = "0198a2b3-0000-7000-8000-000000000001", Name = "worker-1", State = NodeState.Lost });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "node", "remove", "worker-1")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.Trim().ShouldBe("node worker-1 (0198a2b3-0000-7000-8000-000000000001) removed");
    }

    [Fact]
    public async Task NodeList_AsJson_PrintsTheAnswer()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node { Name = "worker-1", State = NodeState.Ready });
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "node", "list", "--json");

        JsonParser.Default.Parse<ListNodesResponse>(run.Out).ShouldBe(cluster.Nodes);
        run.Out.ShouldContain("NODE_STATE_READY");
    }

    [Fact]
    public async Task NodeList_OfAllPages_WithSixtyDataSets_StaysReadable()
    {
        await using var cluster = await FakeCluster.StartAsync();
        foreach (var name in new[] { "one", "two", "three" })
            cluster.Nodes.Nodes.Add(ANodeWithSixtyDataSets(name));
        cluster.PageSize = 1;
        var (run, json) = (new CliRun(cluster), new CliRun(cluster));

        await run.RunAsync(Cancellation, "node", "list");
        await json.RunAsync(Cancellation, "node", "list", "--json");

        var lines = run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.Length.ShouldBe(4);
        lines[1].ShouldBe("0f3c9a1b  one    ready  40×cpu (2 cores)  0/40  0f3c9a0,0f3c9a1,0f3c9a2,0f3c9a3,0f3c9a4,+35 more"
            + "  data-set-0,data-set-1,data-set-2,+57 more  key-0=value,key-1=value,key-10=value,+29 more");
        JsonParser.Default.Parse<ListNodesResponse>(json.Out).ShouldBe(cluster.Nodes);
    }

    [Fact]
    public async Task NodeDescribe_NamesAllDevicesDataSetsAndLabels()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(ANodeWithSixtyDataSets("one"));
        var (run, json) = (new CliRun(cluster), new CliRun(cluster));

        (await run.RunAsync(Cancellation, "node", "describe", "one")).ShouldBe(ExitCode.Done);
        await json.RunAsync(Cancellation, "node", "describe", "one", "--json");

        run.Out.ShouldStartWith($"node        {Builders.JobId}\nname        one\nstate       ready\n");
        var lines = run.Out.Split('\n').Select(line => line.Trim()).ToList();
        lines.Count(line => line.StartsWith("cpu:", StringComparison.Ordinal)).ShouldBe(40);
        lines.Count(line => line.StartsWith("data-set-", StringComparison.Ordinal)).ShouldBe(60);
        lines.Count(line => line.EndsWith("=value", StringComparison.Ordinal)).ShouldBe(32);
        lines.Max(line => line.Length).ShouldBeLessThan(80);
        JsonParser.Default.Parse<GetNodeResponse>(json.Out).Node.ShouldBe(cluster.Nodes.Nodes[0]);
    }

    [Fact]
    public async Task NodeDescribe_ShowsTheHealthOfGpus_AndSaysWhereThereIsNone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node
        {
            Id = Builders.JobId,
            Name = "one",
            State = NodeState.Ready,
            Devices =
            {
                new DeviceStatus
                {
                    Device = new Device { Id = "cuda:0", Kind = DeviceKind.Cuda, Model = "NVIDIA H200" },
                    Gpu = new GpuHealth
                    {
                        TemperatureCelsius = 61.2, PowerWatts = 512.3, UsedMemoryBytes = 1L << 30, CorrectedErrors = 41,
                        UncorrectedErrors = 2, Xids = { { 79, 1 }, { 31, 3 } },
                    },
                },
                new DeviceStatus { Device = new Device { Id = "cuda:1", Kind = DeviceKind.Cuda }, Gpu = new GpuHealth() },
                new DeviceStatus
                {
                    Device = new Device { Id = "cuda:2", Kind = DeviceKind.Cuda },
                    Gpu = new GpuHealth { TemperatureCelsius = 50, Unanswered = Duration.FromTimeSpan(TimeSpan.FromSeconds(75)) },
                },
            },
        });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "node", "describe", "one")).ShouldBe(ExitCode.Done, run.Error);

        run.Out[run.Out.IndexOf("gpu health", StringComparison.Ordinal)..].ShouldBe(
            """
            gpu health
              DEVICE  TEMPERATURE  POWER  MEMORY USED  MEMORY ERRORS                FAULTS
              cuda:0  61 °C        512 W  1.0 GiB      2 uncorrected, 41 corrected  XID 31 (3 times), XID 79
              cuda:1  -            -      -            -                            none
              cuda:2  50 °C        -      -            -                            no answer for 1m 15s

            data sets
              none

            labels
              none

            """);
    }

    [Fact]
    public async Task DeviceThatAJobHolds_OfAnotherWorkspace_IsNotFree()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Nodes.Nodes.Add(new Node
        {
            Id = Builders.JobId,
            Name = "one",
            State = NodeState.Ready,
            Drain = new Drain { By = "olga" },
            Devices =
            {
                new DeviceStatus { Device = new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1 }, Attempt = 2 },
                new DeviceStatus { Device = new Device { Id = "cpu:1", Kind = DeviceKind.Cpu, Cores = 1 } },
            },
        });

        (await OutAsync("node", "list")).ShouldMatch("one +draining +.* 1/2 +a job of another workspace");
        (await OutAsync("node", "describe", "one")).ShouldMatch("cpu:0 .*a job of another workspace\n");

        async Task<string> OutAsync(params string[] arguments)
        {
            var run = new CliRun(cluster);
            (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Done, run.Error);
            return run.Out;
        }
    }

    [Fact]
    public async Task NodeDrainAndResume_SayHowTheMachineStands_AndSoDoListAndDescribe()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var device = new DeviceStatus { Device = new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1 }, JobId = Builders.JobId };
        cluster.Nodes.Nodes.Add(new Node { Id = Builders.JobId, Name = "one", State = NodeState.Ready, Devices = { device } });

        (await OutAsync("node", "drain", "one", "--reason", "new fans", "--grace", "90"))
            .ShouldBe($"node one ({Builders.JobId}): draining\n");
        (await OutAsync("node", "describe", "one")).ShouldContain($"\ndrained     by olga since {Since()}: new fans\n");
        device.JobId = "";
        (await OutAsync("node", "drain", "one", "--keep")).ShouldBe($"node one ({Builders.JobId}): drained\n");
        (await OutAsync("node", "list")).ShouldContain("one   drained");
        (await OutAsync("node", "describe", "one"))
            .ShouldContain($"\ndrained     by olga since {Since()}; jobs that run there may end by themselves\n");
        cluster.Nodes.Nodes[0].Drain.Quarantined = true;
        (await OutAsync("node", "list")).ShouldContain("one   quarantined");
        cluster.Nodes.Nodes[0].State = NodeState.Lost;
        (await OutAsync("node", "list")).ShouldContain("one   lost, drained");
        (await OutAsync("node", "resume", "one")).ShouldBe($"node one ({Builders.JobId}): lost\n");

        cluster.Drained.Select(drain => (drain.Reason, drain.Grace?.Seconds, drain.KeepRunning))
            .ShouldBe([("new fans", 90L, false), ("", null, true)]);
        var both = new CliRun(cluster);
        (await both.RunAsync(Cancellation, "node", "drain", "one", "--keep", "--grace", "5")).ShouldBe(ExitCode.Usage);
        both.Error.ShouldStartWith("--grace is for jobs that are stopped");

        async Task<string> OutAsync(params string[] arguments)
        {
            var run = new CliRun(cluster);
            (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Done, run.Error);
            return run.Out;
        }

        static string Since() => Cli.Rendering.Words.Clock(Builders.At(0));
    }

    [Fact]
    public async Task CheckpointList_AsksForPagesUntilItHasEnough()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var asked = new List<(int Limit, string PageToken)>();
        cluster.Checkpoints = request =>
        {
            asked.Add((request.Limit, request.PageToken));
            return new ListCheckpointsResponse
            {
                Checkpoints = { new Checkpoint { Id = Builders.JobId, Model = new ModelSpec() } },
                NextPageToken = "more",
            };
        };
        var run = new CliRun(cluster);

        await run.RunAsync(Cancellation, "checkpoint", "list", "--limit", "1002", "--json");

        asked[..3].ShouldBe([(1000, ""), (1000, "more"), (1000, "more")]);
        JsonParser.Default.Parse<ListCheckpointsResponse>(run.Out).Checkpoints.Count.ShouldBe(1002);
    }

    private static Node ANodeWithSixtyDataSets(string name) => new()
    {
        Id = Builders.JobId,
        Name = name,
        State = NodeState.Ready,
        Devices =
        {
            Enumerable.Range(0, 40).Select(index => new DeviceStatus
            {
                Device = new Device { Id = $"cpu:{index}", Kind = DeviceKind.Cpu, Cores = 2 },
                JobId = $"0f3c9a{index}",
            }),
        },
        DataSets = { Enumerable.Range(0, 60).Select(index => $"data-set-{index}") },
        Labels = { Enumerable.Range(0, 32).ToDictionary(index => $"key-{index}", _ => "value") },
    };

    [Fact]
    public async Task RunList_PrintsWhatWasSetAndWhatCameOfIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var job = Builders.AFinishedJob();
        cluster.Runs.Runs.Add(new Run
        {
            JobId = job.Id,
            Name = "split",
            State = JobState.Succeeded,
            Model = job.Spec.Model,
            Data = new DataSpec { Name = "mnist" },
            Hyperparameters = job.Spec.Hyperparameters,
            Parallelism = Parallelism.Model,
            Placement = { job.Placement },
            Progress = job.Progress,
            StartedAt = job.StartedAt,
            FinishedAt = job.FinishedAt,
        });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "run", "list")).ShouldBe(ExitCode.Done);

        run.Out.ShouldBe("""
            RUN       NAME   MODEL   DATA   SPLIT    BATCH  OPTIMIZER  RATE  EPOCHS  STATE      LOSS    VALIDATION  TEST    IMAGES/S  TIME
            0f3c9a1b  split  lenet5  mnist  model×2  128    sgd        0.01  5/5     succeeded  0.4313  86.0 %      89.3 %  8,512     1m 10s

            """);
    }
}
