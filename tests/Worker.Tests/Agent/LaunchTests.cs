using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using Grpc.Core;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

public sealed class LaunchTests : AgentTest
{
    [Fact]
    public async Task Registration_TellsDevicesDataSetsAndWhereTheAgentListens()
    {
        await using var agent = await StartAsync(
            Scheduler, Waiting, End, "--Agent:Labels:rack=r1", "--Agent:CoresPerSlot=1", "--Agent:DataRoot=/nonexistent");

        agent.Registration.Name.ShouldBe("node-a");
        agent.Registration.Devices.Select(device => (device.Id, device.Kind, device.Cores))
            .ShouldBe([("cpu:0", DeviceKind.Cpu, 1), ("cpu:1", DeviceKind.Cpu, 1)]);
        agent.Registration.Devices.ShouldAllBe(device => device.MemoryBytes > 0 && device.Model.Length > 0);
        agent.Registration.Labels["rack"].ShouldBe("r1");
        agent.Registration.DataSets.ShouldBe(["synthetic"]);
        agent.Registration.AgentAddress.ShouldStartWith("http://127.0.0.1:");
        Guid.Parse(agent.Registration.NodeId).ShouldNotBe(Guid.Empty);
    }

    [Fact]
    public async Task Launch_GivesTheTrainerItsOrdersAndEnvironmentAndNoSecretBesides()
    {
        // The orders come length-delimited; od shows that something came before the pipe goes silent.
        await using var agent = await StartAsync(
            Scheduler, """
                echo "arguments $*"
                env | sort | sed 's/^/env /'
                head -c 1 | od -An -tu1 | sed 's/^ */length /'
                cat >/dev/null
                """, End);
        var launch = ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);
        var lines = await LinesUntilAsync(line => line.Rank == 1 && line.Text.StartsWith("length ", StringComparison.Ordinal));
        var text = lines.FindAll(line => line.Rank == 1).ConvertAll(line => line.Text);

        text.ShouldContain($"arguments trainer --job {launch.JobId} --attempt 1 --rank 1");
        text.ShouldContain("env RANK=1");
        text.ShouldContain("env LOCAL_RANK=1");
        text.ShouldContain("env WORLD_SIZE=2");
        text.ShouldContain("env OMP_NUM_THREADS=1");
        text.ShouldContain("env MALLOC_ARENA_MAX=1");
        text.ShouldNotContain(line => line.Contains("attempt-secret", StringComparison.Ordinal)
            || line.Contains(agent.Registration.AgentSecret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Launch_Twice_StartsOneProcess()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        var process = agent.ProcessOn("cpu:0");
        await agent.LaunchAsync(launch, End);

        agent.ProcessOn("cpu:0").ShouldBe(process);
    }

    [Fact]
    public async Task Launch_OnADeviceInUse_IsResourceExhausted()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var first = ALaunch();
        await agent.LaunchAsync(first, End);

        var refusal = await Should.ThrowAsync<RpcException>(() => agent.LaunchAsync(ALaunch(), End));

        refusal.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refusal.Status.Detail.ShouldBe($"cpu:0 is still in use by job {first.JobId} attempt 1");
    }

    [Fact]
    public async Task Launch_OfAProgramThatIsNotThere_IsFailedPreconditionAndLeavesTheDeviceFree()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End, "--Agent:TrainerCommand:0=/nonexistent/program");

        var refusal = await Should.ThrowAsync<RpcException>(() => agent.LaunchAsync(ALaunch(), End));
        var again = await Should.ThrowAsync<RpcException>(() => agent.LaunchAsync(ALaunch(), End));

        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        refusal.Status.Detail.ShouldContain("/nonexistent/program");
        again.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
    }

    [Theory]
    [InlineData("cpu:7", "device is 'cpu:7', which node node-a does not have; it has cpu:0, cpu:1")]
    public async Task Launch_OnADeviceThatIsNotHere_NamesThoseThatAre(string device, string message)
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        launch.Ranks[0].Device = device;

        var refusal = await Should.ThrowAsync<RpcException>(() => agent.LaunchAsync(launch, End));

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldBe(message);
    }

    [Fact]
    public async Task Launch_WithAnotherSecretThanTheAgents_IsUnauthenticated()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);

        var refusal = await Should.ThrowAsync<RpcException>(
            async () => await agent.Client.LaunchAsync(ALaunch(), agent.Options(End, "another")));

        refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    [Fact]
    public async Task Exit_WithACode_IsReportedWithItAfterTheLastLine()
    {
        await using var agent = await StartAsync(Scheduler, "head -c 1 >/dev/null; echo last words; exit 78", End);
        await agent.LaunchAsync(ALaunch(), End);
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        (exit.ExitCode, exit.Signal, exit.Rank).ShouldBe((78, 0, 0));
        exit.NodeId.ShouldBe(agent.Registration.NodeId);
        Scheduler.LogBatches.SelectMany(batch => batch.Lines).Select(line => line.Text)
            .ShouldBe(["last words", "trainer of rank 0 ended: exit code 78"]);
        Scheduler.Order.Last().ShouldBe("exit");
    }

    [Fact]
    public async Task Exit_ByKill9FromOutside_IsReportedAsTheSignalAndFreesTheDevice()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        await agent.LaunchAsync(ALaunch(), End);
        Libc.TrySignal(agent.ProcessOn("cpu:0"), Libc.Sigkill).ShouldBeTrue();
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        (exit.ExitCode, exit.Signal).ShouldBe((0, 9));
        exit.Message.ShouldStartWith("killed from outside");
        await agent.LaunchAsync(ALaunch(), End);
    }

    [Fact]
    public async Task Launch_WithPinnedCores_BindsEachSlotToItsOwn()
    {
        var core = Libc.ThreadCores()[^1];
        await using var agent = await StartAsync(
            Scheduler, "head -c 1 >/dev/null; grep Cpus_allowed_list /proc/self/status; cat >/dev/null", End,
            $"--Agent:PinnedCores={core}", "--Agent:CpuSlots=1");
        await agent.LaunchAsync(ALaunch(), End);
        var line = await LineAsync(line => line.Stream == LogStream.Stdout);

        line.Text.Split('\t')[1].ShouldBe(CoreList.Text([core]));
    }

    [Fact]
    public async Task Heartbeat_SaysWhatRunsAndHowBusyTheDevicesAre()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        var heartbeat = await NextAsync(Scheduler.Heartbeats, beat => beat.Running.Count == 1 && beat.Devices.Count == 2);

        heartbeat.Running[0].JobId.ShouldBe(launch.JobId);
        heartbeat.Incarnation.ShouldBe(agent.Registration.Incarnation);
        heartbeat.Devices.ShouldAllBe(device => device.Utilization >= 0 && device.Utilization <= 1);
    }
}
