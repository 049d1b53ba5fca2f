using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>
/// At the start ends what an earlier incarnation left; at the end lets trainers store a checkpoint and reports their exits.
/// </summary>
/// <remarks>Registered after the server, so that it is stopped before it: trainers still need their socket.</remarks>
internal sealed partial class AgentShutdown(
    AttemptTable attempts, AttemptServices services, TrainerNotes notes, AgentSocket socket, TimeProvider timeProvider,
    ILogger<AgentShutdown> logger) : IHostedLifecycleService
{
    // The trainers wait for it with their stop; a scheduler that is away takes no checkpoint either.
    private static readonly TimeSpan AnnouncePatience = TimeSpan.FromSeconds(2);

    // Beyond the trainers' grace, for the exits and last lines of log to reach the scheduler.
    public static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(5);

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        notes.KillLeftovers();
        SharedChunks.Remove(services.Identity.ChunkFolder);
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        socket.Restrict();
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        attempts.Close();
        // First of all, or the scheduler would grant this node's devices again as each exit frees them.
        await AnnounceAsync(cancellationToken);
        var grace = services.Options.ShutdownGrace;
        var ending = attempts.StopAllAsync("the agent is shutting down", grace);
        using var patience = new CancellationTokenSource(grace + ReportPatience, timeProvider);
        await using var abandoned = patience.Token.Register(() => _ = services.EndAsync());
        await ending;
    }

    public Task StopAsync(CancellationToken cancellationToken) => services.EndAsync();

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>One heartbeat that says it, at once; those that follow say it too.</summary>
    private async Task AnnounceAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(AnnouncePatience, timeProvider);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        var heartbeat = new HeartbeatRequest
        {
            NodeId = services.Identity.NodeId.ToString(),
            Incarnation = services.Identity.Incarnation,
            Running = { attempts.Running },
            ShuttingDown = true,
        };
        try
        {
            await services.Scheduler.Registry.HeartbeatAsync(heartbeat, services.Scheduler.AsNode(ends.Token));
        }
        catch (RpcException e)
        {
            LogNotAnnounced(e.Status);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The scheduler could not be told that this node shuts down ({Status}); "
        + "until the lease ends it may still place jobs here, which are refused")]
    private partial void LogNotAnnounced(Status status);
}
