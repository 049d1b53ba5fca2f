using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using Cluster.Worker.Tests.Training;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Worker.Tests.Agent;

/// <summary>The agent as the process that it is.</summary>
public sealed class AgentProcessTests : AgentTest
{
    [Fact]
    public async Task Kill9_OfTheAgent_EndsItsTrainers()
    {
        // Standard input ends with the agent; what reads it ends, and the test sees the process go.
        using var agent = new AgentProcess(Scheduler, "echo pid $$; cat >/dev/null");
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        await LaunchAsync(registration, RunningAgent.ALaunch());
        var line = await LineAsync(line => line.Text.StartsWith("pid ", StringComparison.Ordinal));
        using var trainer = Process.GetProcessById(int.Parse(line.Text.AsSpan(4), System.Globalization.CultureInfo.InvariantCulture));

        agent.Process.Kill();

        await agent.Process.WaitForExitAsync(End);
        await GoneAsync(trainer.Id);
    }

    [Fact]
    public async Task Trainer_OfAJob_TrainsToItsEndAndStoresACheckpoint()
    {
        using var agent = new AgentProcess(Scheduler, script: null);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        var launch = RunningAgent.ALaunch();
        launch.Spec = TestRuns.AJob(job => job.Hyperparameters.Epochs = 1);
        await LaunchAsync(registration, launch);
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        (exit.ExitCode, exit.Signal).ShouldBe((TrainerExit.Done, 0), exit.Message);
        Scheduler.Manifests.ShouldHaveSingleItem().Files.ShouldContain(file => file.Name == "model.safetensors");
        var steps = new List<long>();
        while (Scheduler.Reports.Reader.TryRead(out var report))
            steps.AddRange(report.Points.Where(point => point.Name == MetricNames.TrainLoss).Select(point => point.Step));
        steps.ShouldNotBeEmpty();
    }

    /// <summary>What others are told is neither listened on nor called by ranks that share the node.</summary>
    [Fact]
    public async Task Trainers_OfOneNode_TrainWhateverOthersAreTold()
    {
        Scheduler.WorldSize = 2;
        var port = FreePort();
        string[] settings = ["--Agent:AdvertiseHost=192.0.2.1", "--Agent:AdvertisePort=4711", $"--Agent:ListenAddress=127.0.0.1:{port}"];
        using var agent = new AgentProcess(Scheduler, script: null, settings: settings);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        registration.AgentAddress.ShouldBe("http://192.0.2.1:4711");
        registration.AgentAddress = $"http://127.0.0.1:{port}";
        var launch = RunningAgent.ALaunch(ranks: 2);
        launch.Spec = TestRuns.AJob(job => job.Hyperparameters.Epochs = 1);
        await LaunchAsync(registration, launch);

        for (var rank = 0; rank < 2; rank++)
        {
            var exit = await Scheduler.Exits.Reader.ReadAsync(End);
            (exit.ExitCode, exit.Signal).ShouldBe((TrainerExit.Done, 0), exit.Message);
        }

        Scheduler.Endpoints.Values.Select(endpoint => endpoint.Address).ShouldBe(["", ""]);
    }

    /// <summary>Of two ranks the other is to be on another node: the address is told, and another one is listened on.</summary>
    [Fact]
    public async Task Trainer_WithPeersOnOtherNodes_TellsTheAdvertisedHost_AndListensOnItsOwn()
    {
        var (port, mapped) = (FreePort(), FreePort());
        string[] settings =
        [
            "--Agent:AdvertiseHost=192.0.2.1", $"--Agent:TrainerPorts={mapped}-{mapped}", $"--Agent:ListenAddress=127.0.0.1:{port}",
        ];
        using var agent = new AgentProcess(Scheduler, script: null, settings: settings);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        registration.AgentAddress = $"http://127.0.0.1:{port}";
        var meeting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Scheduler.WorldSize = 2;
        Scheduler.Endpoints[1] = new RankEndpoint { Rank = 1, NodeId = "another", Address = "192.0.2.2:4711" };
        Scheduler.OnRendezvous = _ =>
        {
            meeting.TrySetResult();
            return Task.CompletedTask;
        };
        var launch = RunningAgent.ALaunch(ranks: 2);
        launch.Ranks.RemoveAt(1);
        launch.Spec = TestRuns.AJob(job => job.Hyperparameters.Epochs = 1);
        await LaunchAsync(registration, launch);
        await meeting.Task.WaitAsync(End);

        using var peer = new TcpClient();
        await peer.ConnectAsync(IPAddress.Loopback, mapped, End);
        var greeting = new byte[8];
        await peer.GetStream().ReadExactlyAsync(greeting, End);

        Scheduler.Endpoints[0].Address.ShouldBe($"192.0.2.1:{mapped}");
        Encoding.ASCII.GetString(greeting).ShouldBe("clstr/2\n");
    }

    [Fact]
    public async Task Trainer_OfAJobThatCannotRun_ExitsWith78AndSaysWhy()
    {
        using var agent = new AgentProcess(Scheduler, script: null);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        var launch = RunningAgent.ALaunch();
        launch.Spec = TestRuns.AJob(job => job.Model.Options["channels"] = TestRuns.Whole(3));
        await LaunchAsync(registration, launch);
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);

        exit.ExitCode.ShouldBe(TrainerExit.Misconfigured, exit.Message);
        exit.Message.ShouldContain("model.options.channels is 3");
    }

    [Fact]
    public async Task Kill9_OfTheAgent_EndsARealTrainerThatWaitsForItsPeers()
    {
        using var agent = new AgentProcess(Scheduler, script: null);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        var met = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Scheduler.OnRendezvous = async cancellationToken =>
        {
            met.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        };
        var launch = RunningAgent.ALaunch(ranks: 2);
        launch.Spec = TestRuns.AJob();
        launch.Ranks.RemoveAt(1);
        await LaunchAsync(registration, launch);
        await met.Task.WaitAsync(End);
        var trainer = agent.Trainers().Single();

        agent.Process.Kill();

        await GoneAsync(trainer);
    }

    [Fact]
    public async Task Sigterm_EndsTheAgentInOrder()
    {
        using var agent = new AgentProcess(Scheduler, RunningAgent.Waiting);
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        await LaunchAsync(registration, RunningAgent.ALaunch());
        Libc.TrySignal(agent.Process.Id, Libc.Sigterm).ShouldBeTrue();

        await agent.Process.WaitForExitAsync(End);

        agent.Process.ExitCode.ShouldBe(0);
        (await Scheduler.Exits.Reader.ReadAsync(End)).Message.ShouldContain("the agent is shutting down");
    }

    /// <summary>As a service manager or a terminal ends things: every process of the group gets the signal, the trainers too.</summary>
    [Fact]
    public async Task Sigterm_ToTheWholeProcessGroup_LeavesTheLastCheckpoint()
    {
        using var agent = new AgentProcess(Scheduler, script: null, FakeScheduler.NodeToken, "--Agent:ShutdownGrace=00:01:00");
        var registration = await Scheduler.Registrations.Reader.ReadAsync(End);
        var launch = RunningAgent.ALaunch();
        launch.Spec = TestRuns.AJob(job => job.Hyperparameters.Epochs = 1_000_000);
        launch.Spec.Checkpoints = new CheckpointPolicy { EveryEpochs = 1_000_000 };
        await LaunchAsync(registration, launch);
        await NextAsync(Scheduler.Reports, report => report.Points.Any(point => point.Name == MetricNames.TrainLoss));

        Libc.TrySignal(-agent.Process.Id, Libc.Sigterm).ShouldBeTrue();
        var exit = await Scheduler.Exits.Reader.ReadAsync(End);
        await agent.Process.WaitForExitAsync(End);

        (exit.ExitCode, exit.Signal, exit.Evicted).ShouldBe((TrainerExit.Stopped, 0, true), exit.Message);
        Scheduler.Manifests.ShouldHaveSingleItem().Files.ShouldContain(file => file.Name == "model.safetensors");
        agent.Process.ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task Start_WithAWrongToken_FailsAndSaysWhatToCheck()
    {
        using var agent = new AgentProcess(Scheduler, RunningAgent.Waiting, token: "wrong");
        var output = await agent.Process.StandardOutput.ReadToEndAsync(End);
        await agent.Process.WaitForExitAsync(End);

        agent.Process.ExitCode.ShouldBe(1);
        output.ShouldContain("check Agent:NodeTokenFile");
    }

    [Fact]
    public async Task Start_WithAWrongSetting_FailsWithOneLineAndExitCode2()
    {
        using var agent = new AgentProcess(Scheduler, RunningAgent.Waiting, "FULL", "--Agent:ListenAddress=nowhere");
        var errors = await agent.Process.StandardError.ReadToEndAsync(End);
        await agent.Process.WaitForExitAsync(End);

        agent.Process.ExitCode.ShouldBe(2);
        errors.Trim().ShouldBe("Agent:ListenAddress is 'nowhere'; give ip:port, such as 127.0.0.1:0");
    }

    [Fact]
    public async Task Start_AfterAKill9_TakesTheSameNodeIdAndAddressForTrainers()
    {
        using var agent = new AgentProcess(Scheduler, RunningAgent.Waiting);
        var before = await Scheduler.Registrations.Reader.ReadAsync(End);
        agent.Process.Kill();
        await agent.Process.WaitForExitAsync(End);

        using var again = agent.StartAgain();
        var after = await Scheduler.Registrations.Reader.ReadAsync(End);
        await LaunchAsync(after, RunningAgent.ALaunch());

        after.NodeId.ShouldBe(before.NodeId);
        after.Incarnation.ShouldNotBe(before.Incarnation);
        after.Running.ShouldBeEmpty();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task LaunchAsync(RegisterRequest registration, LaunchRequest launch)
    {
        using var channel = GrpcChannel.ForAddress(registration.AgentAddress);
        var headers = new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(registration.AgentSecret) } };
        await new AgentService.AgentServiceClient(channel).LaunchAsync(launch, new CallOptions(headers, cancellationToken: End));
    }

    // Another process's child: it cannot be waited for, only seen to be gone.
    private async Task GoneAsync(int processId)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (ProcessTimes.TryRead(processId) is not null)
            await timer.WaitForNextTickAsync(End);
    }

    private sealed class AgentProcess : IDisposable
    {
        private readonly DirectoryInfo _folder;
        private readonly ProcessStartInfo _start;
        private readonly bool _ownsFolder = true;

        public AgentProcess(FakeScheduler scheduler, string? script, string token = FakeScheduler.NodeToken, params string[] settings)
        {
            _folder = Directory.CreateTempSubdirectory("agent-tests-");
            var all = RunningAgent.Settings(_folder, scheduler, script ?? "")
                .Where(setting => script is not null || !setting.Contains("TrainerCommand", StringComparison.Ordinal));
            File.WriteAllText(Path.Combine(_folder.FullName, "token"), token);
            // A process group of its own, as service managers make, under the number of the process.
            _start = new ProcessStartInfo("setsid", ["dotnet"])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            foreach (var argument in new[] { typeof(AgentHost).Assembly.Location, "agent" }.Concat(all).Concat(settings))
                _start.ArgumentList.Add(argument);
            Process = Process.Start(_start)!;
        }

        private AgentProcess(AgentProcess before)
        {
            (_folder, _start, _ownsFolder) = (before._folder, before._start, false);
            Process = Process.Start(_start)!;
        }

        public Process Process { get; }

        /// <summary>Another start with the same settings and state. Ends before this one is disposed.</summary>
        public AgentProcess StartAgain() => new(this);

        /// <summary>Numbers of the running trainers, from the agent's notes.</summary>
        public IEnumerable<int> Trainers() => Directory.GetFiles(Path.Combine(_folder.FullName, "state", "trainers"))
            .Select(note => int.Parse(Path.GetFileName(note), System.Globalization.CultureInfo.InvariantCulture));

        public void Dispose()
        {
            if (!Process.HasExited)
                Process.Kill();
            Process.WaitForExit();
            Process.Dispose();
            if (_ownsFolder)
                _folder.Delete(recursive: true);
        }
    }
}
