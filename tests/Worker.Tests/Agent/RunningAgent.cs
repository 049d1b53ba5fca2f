using System.Net.Sockets;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Agent;

/// <summary>
/// An agent in this process, registered with a <see cref="FakeScheduler"/>; its trainers are shell scripts in processes of their own.
/// </summary>
internal sealed class RunningAgent : IAsyncDisposable
{
    /// <summary>Reads its orders, then waits for its agent to end.</summary>
    public const string Waiting = "cat >/dev/null";

    /// <summary>An exit waits for its lines as long as they take on a busy machine.</summary>
    public const string PatientForLines = "--Agent:LastLinesPatience=00:05:00";

    private readonly WebApplication _app;
    private readonly DirectoryInfo _folder;
    private readonly GrpcChannel _channel;

    private RunningAgent(WebApplication app, DirectoryInfo folder, RegisterRequest registration)
    {
        _app = app;
        _folder = folder;
        Registration = registration;
        _channel = GrpcChannel.ForAddress(registration.AgentAddress);
        Client = new AgentService.AgentServiceClient(_channel);
    }

    public RegisterRequest Registration { get; }

    public AgentService.AgentServiceClient Client { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>To the port that the network reaches.</summary>
    public CallInvoker Invoker => _channel.CreateCallInvoker();

    public string StateFolder => _app.Services.GetRequiredService<AgentIdentity>().StateFolder;

    public string Socket => _app.Services.GetRequiredService<AgentEndpoints>().Socket;

    public static Task<RunningAgent> StartAsync(
        FakeScheduler scheduler, string script, CancellationToken cancellationToken, params string[] settings) =>
        StartAsync(scheduler, script, cancellationToken, _ => { }, settings);

    public static async Task<RunningAgent> StartAsync(
        FakeScheduler scheduler, string script, CancellationToken cancellationToken, Action<IServiceCollection> configure,
        params string[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("agent-tests-");
        var app = AgentHost.Build([.. Settings(folder, scheduler, script), .. settings], services =>
        {
            services.AddLogging(logging => logging.ClearProviders());
            configure(services);
        });
        await app.StartAsync(cancellationToken);
        return new RunningAgent(app, folder, await scheduler.Registrations.Reader.ReadAsync(cancellationToken));
    }

    /// <summary>The settings of an agent whose trainers run <paramref name="script"/>.</summary>
    public static string[] Settings(DirectoryInfo folder, FakeScheduler scheduler, string script)
    {
        var tokenFile = Path.Combine(folder.FullName, "token");
        File.WriteAllText(tokenFile, FakeScheduler.NodeToken + "\n");
        var scriptFile = Path.Combine(folder.FullName, "trainer.sh");
        File.WriteAllText(scriptFile, script + "\n");
        return
        [
            $"--Agent:SchedulerAddress=http://127.0.0.1:{scheduler.Port}", $"--Agent:NodeTokenFile={tokenFile}",
            $"--Agent:StateFolder={folder.FullName}/state",
            "--Agent:Name=node-a", "--Agent:CpuSlots=2", "--Agent:TrainerCommand:0=/bin/bash", $"--Agent:TrainerCommand:1={scriptFile}",
            "--Agent:ShutdownGrace=00:00:00",
        ];
    }

    /// <summary>Of an agent that waits at its end as long as the scheduler takes to answer on a busy machine.</summary>
    public static void PatientAtItsEnd(IServiceCollection services)
    {
        services.AddSingleton<TimeProvider>(new PatientTime());
        services.Configure<HostOptions>(host => host.ShutdownTimeout = PatientTime.Patience);
    }

    public static LaunchRequest ALaunch(JobId? job = null, int attempt = 1, int ranks = 1)
    {
        var request = new LaunchRequest
        {
            JobId = (job ?? JobId.New()).ToString(),
            Attempt = attempt,
            AttemptSecret = "attempt-secret",
            WorldSize = ranks,
            Spec = new JobSpec { Name = "test" },
        };
        for (var rank = 0; rank < ranks; rank++)
            request.Ranks.Add(new RankAssignment { Rank = rank, LocalRank = rank, Device = $"cpu:{rank}" });
        return request;
    }

    public async Task LaunchAsync(LaunchRequest request, CancellationToken cancellationToken) =>
        await Client.LaunchAsync(request, Options(cancellationToken));

    public async Task StopAsync(LaunchRequest launched, TimeSpan grace, string reason, CancellationToken cancellationToken) =>
        await Client.StopAsync(
            new StopRequest
            {
                JobId = launched.JobId,
                Attempt = launched.Attempt,
                Reason = reason,
                Grace = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(grace),
            },
            Options(cancellationToken));

    public CallOptions Options(CancellationToken cancellationToken, string? secret = null) =>
        new(new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(secret ?? Registration.AgentSecret) } },
            cancellationToken: cancellationToken);

    /// <summary>A rank's way to this agent, as its trainer would use it.</summary>
    public TrainerHostLink LinkOf(LaunchRequest launched, int rank = 0, string? secret = null) =>
        new(OrdersOf(launched, rank, secret), TimeProvider.System);

    public TrainerLaunch OrdersOf(LaunchRequest launched, int rank = 0, string? secret = null) => new()
    {
        JobId = launched.JobId,
        Attempt = launched.Attempt,
        AttemptSecret = secret ?? launched.AttemptSecret,
        Rank = rank,
        AgentSocket = Socket,
        WorldSize = launched.WorldSize,
        NodeId = Registration.NodeId,
        Spec = launched.Spec,
    };

    /// <summary>To the socket that trainers reach.</summary>
    public GrpcChannel ChannelOfTrainers()
    {
        var path = Socket;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new System.Net.Sockets.Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        return GrpcChannel.ForAddress("http://agent", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    public int ProcessOn(string device) => Services.GetRequiredService<AttemptTable>().ProcessOn(device)!.Value;

    public async Task EndAsync(CancellationToken cancellationToken) => await _app.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private sealed class PatientTime : TimeProvider
    {
        public static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => base.CreateTimer(
            callback, state, dueTime == AgentShutdown.AnnouncePatience || dueTime == AgentShutdown.ReportPatience ? Patience : dueTime,
            period);
    }
}
