using Cluster.Contracts.V1;
using Google.Protobuf;

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
            Devices = { new DeviceStatus { Device = new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1 }, JobId = Builders.JobId } },
            Labels = { ["zone"] = "a", ["rack"] = "7" },
            DataSets = { "fashion-mnist", "synthetic" },
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
            NODE      NAME      STATE  DEVICES             FREE  JOBS      DATA                     LABELS
            0f3c9a1b  worker-1  ready  1×cpu (1 core)      0/1   0f3c9a1b  fashion-mnist,synthetic  rack=7,zone=a
            0f3c9a1b  big       lost   2×cuda NVIDIA H200  2/2   -         -                        -

            """);
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
    public async Task RunList_PrintsWhatWasSetAndWhatCameOfIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var job = Builders.AFinishedJob();
        cluster.Runs.Runs.Add(new Run
        {
            JobId = job.Id,
            Name = "towers",
            State = JobState.Succeeded,
            Model = job.Spec.Model,
            Data = job.Spec.Data,
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
            RUN       NAME    MODEL   DATA           SPLIT    BATCH  OPTIMIZER  RATE  EPOCHS  STATE      LOSS    VALIDATION  TEST    IMAGES/S  TIME
            0f3c9a1b  towers  lenet5  fashion-mnist  model×2  128    sgd        0.01  5/5     succeeded  0.4313  86.0 %      89.3 %  8,512     1m 10s

            """);
    }
}
