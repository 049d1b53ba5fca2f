using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Tests.Data.Formats;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Cluster.Worker.Tests.Agent;

/// <summary>What an agent tells of its data while it runs.</summary>
public sealed class DataOfferTests : AgentTest
{
    private const string Photos = $"image-folder/{PictureFolder.Name}";

    private readonly PictureFolder _folder = new();

    [Fact]
    public async Task DataThatArrivesAndGoes_IsTold()
    {
        await using var agent = await StartAsync(RunningAgent.Waiting);
        agent.Registration.DataSets.ShouldBe(["synthetic"]);

        Copy();
        var arrived = await Scheduler.DataSets.Reader.ReadAsync(End);
        Directory.Delete(_folder.Path("."), recursive: true);
        var gone = await Scheduler.DataSets.Reader.ReadAsync(End);

        arrived.DataSets.ShouldBe(["synthetic", Photos]);
        (arrived.NodeId, arrived.Incarnation).ShouldBe((agent.Registration.NodeId, agent.Registration.Incarnation));
        gone.DataSets.ShouldBe(["synthetic"]);
    }

    [Fact]
    public async Task Registration_AfterTheSchedulerForgotTheNode_TellsWhatIsThereNow()
    {
        await using var agent = await StartAsync(RunningAgent.Waiting);
        Copy();
        await Scheduler.DataSets.Reader.ReadAsync(End);

        Scheduler.OnHeartbeat = _ =>
        {
            Scheduler.OnHeartbeat = _ => new HeartbeatResponse();
            throw new RpcException(new Status(StatusCode.NotFound, "register again"));
        };

        (await Scheduler.Registrations.Reader.ReadAsync(End)).DataSets.ShouldBe(["synthetic", Photos]);
        await Scheduler.Heartbeats.Reader.ReadAsync(End);
        Scheduler.DataSets.Reader.TryRead(out _).ShouldBeFalse("it has been told");
    }

    /// <summary>As a network file system whose server is away does, for as long as it is.</summary>
    [Fact]
    public async Task DataRoot_ThatDoesNotAnswer_HoldsUpNeitherRegistrationNorHeartbeats()
    {
        using var answers = new ManualResetEventSlim();
        Func<IReadOnlyList<string>> look = () =>
        {
            answers.Wait(End);
            return ["synthetic", Photos];
        };
        await using var agent = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End, services => services.AddSingleton(look));

        agent.Registration.DataSets.ShouldBeEmpty();
        await Scheduler.Heartbeats.Reader.ReadAsync(End);
        await Scheduler.Heartbeats.Reader.ReadAsync(End);
        answers.Set();

        (await Scheduler.DataSets.Reader.ReadAsync(End)).DataSets.ShouldBe(["synthetic", Photos]);
    }

    /// <summary>The scheduler has heard that the node has it no more before it places the job anew.</summary>
    [Theory]
    [InlineData("exit 78")]
    [InlineData("exit 1")]
    [InlineData("kill -BUS $$")]
    public async Task TrainerThatFails_AfterItsDataHasGone_IsReportedAsThat_AndTheOfferBeforeIt(string end)
    {
        Copy();
        // Far from the next look: it is the trainer's end that makes the agent look.
        await using var agent = await StartAsync($"rm -r {_folder.Path("train")}; {end}", "--Agent:DataScanInterval=01:00:00");
        agent.Registration.DataSets.ShouldContain(Photos);
        await agent.LaunchAsync(ALaunch(), End);

        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        (exit.ExitCode, exit.Signal).ShouldBe((TrainerExit.DataGone, 0));
        exit.Message.ShouldStartWith($"{Photos} is no longer in {_folder.Root}");
        Scheduler.Order.Where(told => told is "data" or "exit").ShouldBe(["data", "exit"]);
        (await Scheduler.DataSets.Reader.ReadAsync(End)).DataSets.ShouldBe(["synthetic"]);
    }

    [Theory]
    [InlineData("exit 78", 78)] // its data is there: the job cannot run as described
    [InlineData("rm -r $DATA; exit 0", TrainerExit.Done)]
    [InlineData("rm -r $DATA; exit 75", TrainerExit.Stopped)]
    [InlineData("rm -r $DATA; exit 71", TrainerExit.OutOfMemory)]
    public async Task TrainerThatEnds_ForAnotherReason_IsReportedAsItEnded(string script, int exitCode)
    {
        Copy();
        await using var agent = await StartAsync($"DATA={_folder.Path("train")}; {script}", "--Agent:DataScanInterval=01:00:00");
        await agent.LaunchAsync(ALaunch(), End);

        (await Scheduler.Exits.Reader.ReadAsync(End)).ExitCode.ShouldBe(exitCode);
    }

    private static LaunchRequest ALaunch()
    {
        var launch = RunningAgent.ALaunch();
        launch.Spec.Data = new DataSpec { Name = "image-folder", Folder = PictureFolder.Name };
        return launch;
    }

    private Task<RunningAgent> StartAsync(string script, string interval = "--Agent:DataScanInterval=00:00:01") =>
        RunningAgent.StartAsync(Scheduler, script, End, $"--Agent:DataRoot={_folder.Root}", interval);

    private void Copy()
    {
        _folder.WriteClasses("train", 2, 1);
        _folder.WriteClasses("val", 2, 1);
    }
}
