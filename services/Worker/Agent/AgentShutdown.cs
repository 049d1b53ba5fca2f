using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>At the start ends what an earlier incarnation left; at the end lets trainers store a checkpoint and reports their exits.</summary>
/// <remarks>Registered after the server, so that it is stopped before it: trainers still need their socket.</remarks>
internal sealed class AgentShutdown(
    IOptions<AgentOptions> options, AttemptTable attempts, AttemptServices services, TrainerNotes notes, AgentSocket socket,
    TimeProvider timeProvider) : IHostedLifecycleService
{
    // Beyond the trainers' grace, for the exits and last lines of log to reach the scheduler.
    public static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(5);

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        notes.KillLeftovers();
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
        var closing = attempts.CloseAsync("the agent is shutting down", options.Value.ShutdownGrace);
        using var patience = new CancellationTokenSource(options.Value.ShutdownGrace + ReportPatience, timeProvider);
        await using var abandoned = patience.Token.Register(() => _ = services.EndAsync());
        await closing;
    }

    public Task StopAsync(CancellationToken cancellationToken) => services.EndAsync();

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
