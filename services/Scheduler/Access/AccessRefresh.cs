using System.Threading.Channels;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Workspaces;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>
/// Reads tokens and workspaces before the first call, again when another scheduler has changed one, and now and then in any case.
/// </summary>
internal sealed partial class AccessRefresh(
    TokenRegister tokens, WorkspaceDirectory workspaces, IOptions<AccessOptions> options, TimeProvider time, ILogger<AccessRefresh> logger)
    : BackgroundService, IDatabaseListener
{
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1)
    {
        FullMode = BoundedChannelFullMode.DropWrite,
    });

    /// <inheritdoc/>
    public string ChannelName => "access_changes";

    /// <inheritdoc/>
    public void Heard(string? message) => _changes.Writer.TryWrite(true);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await tokens.LoadAsync(cancellationToken);
        await workspaces.LoadAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var isFailing = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            await ChangeOrPauseAsync(stoppingToken);
            try
            {
                await tokens.LoadAsync(stoppingToken);
                await workspaces.LoadAsync(stoppingToken);
                await tokens.StoreUsesAsync(stoppingToken);
                isFailing = false;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception fault)
            {
                // Once an outage.
                if (!isFailing)
                    LogStale(fault);
                isFailing = true;
            }
        }
    }

    private async Task ChangeOrPauseAsync(CancellationToken cancellationToken)
    {
        using var pause = new CancellationTokenSource(options.Value.RefreshInterval, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, pause.Token);
        try
        {
            await _changes.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            // Nobody told of a change, or this ends.
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Tokens and workspaces cannot be read; those that were known are gone by until they can")]
    private partial void LogStale(Exception fault);
}
