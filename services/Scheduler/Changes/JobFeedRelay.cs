using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Changes;

/// <summary>Carries changes between schedulers on one database, by Postgres' LISTEN and NOTIFY.</summary>
/// <remarks>
/// Changes are told after their commit, gathered over a moment and many at once, and not by the transactions that make them: Postgres lets
/// one transaction that notifies commit at a time, over the whole server, so reports of many ranks would wait in line for each other's
/// writes to disk. The price is what a scheduler that dies in that moment has not told; watchers find it at their next look.
/// </remarks>
internal sealed partial class JobFeedRelay(
    JobFeed feed, IEnumerable<IDatabaseListener> listeners, ClusterDatabase database, IOptions<PersistenceOptions> options,
    TimeProvider time, ILogger<JobFeedRelay> logger)
    : BackgroundService
{
    private const string Channel = "job_changes";

    // Nobody sees the difference, and of a job that reports many times a second one message tells.
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    private readonly string _self = Guid.NewGuid().ToString("N");

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        AgainAsync(ListenAsync, stoppingToken), AgainAsync(TellAsync, stoppingToken));

    /// <summary>Runs something that never ends by itself, and begins it anew after a fault, with longer and longer pauses.</summary>
    /// <param name="work">Calls what it is given once it works.</param>
    private async Task AgainAsync(Func<Action, CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        var pause = ShortestPause;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await work(() => pause = ShortestPause, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception fault)
            {
                // Once an outage.
                if (pause == ShortestPause)
                    LogBroken(fault);
                await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause < LongestPause / 2 ? 2 * pause : LongestPause;
            }
        }
    }

    private async Task ListenAsync(Action works, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(options.Value.ListeningConnectionString);
        var others = listeners.ToDictionary(listener => listener.ChannelName, StringComparer.Ordinal);
        connection.Notification += (_, message) =>
        {
            if (others.TryGetValue(message.Channel, out var listener))
                listener.Heard(message.Payload);
            else
                Take(message.Payload);
        };
        await connection.OpenAsync(cancellationToken);
        foreach (var channel in others.Keys.Prepend(Channel))
        {
            await using var listen = new NpgsqlCommand($"listen {channel}", connection);
            await listen.ExecuteNonQueryAsync(cancellationToken);
        }

        works();
        // Whatever was told before, nobody here has heard of.
        feed.Deliver(null, JobChange.All);
        foreach (var listener in others.Values)
            listener.Heard(null);
        while (true)
            await connection.WaitAsync(cancellationToken);
    }

    private async Task TellAsync(Action works, CancellationToken cancellationToken)
    {
        while (true)
        {
            var changes = await feed.Outbox.TakeAsync(cancellationToken);
            try
            {
                var messages = changes.Select(change => $"{_self} {(int)change.What} {change.Since} {change.Job?.Value:N}").ToArray();
                await database.RunAsync(async (connection, token) =>
                {
                    await using var notify = new NpgsqlCommand(
                        $"select count(pg_notify('{Channel}', message)) from unnest($1) message", connection)
                    {
                        Parameters = { new() { Value = messages } },
                    };
                    return await notify.ExecuteScalarAsync(token);
                }, cancellationToken);
                works();
            }
            catch
            {
                feed.Outbox.Add(changes);
                throw;
            }

            await Task.Delay(Gathering, time, cancellationToken);
        }
    }

    private void Take(string message)
    {
        var parts = message.Split(' ');
        if (parts[0] == _self)
        {
            // Its watchers know. How long it took is told by one clock only here, where it began.
            SchedulerTelemetry.FeedLag.Record(time.GetElapsedTime(long.Parse(parts[2])).TotalSeconds);
            return;
        }

        feed.Deliver(parts[3].Length > 0 ? new JobId(Guid.ParseExact(parts[3], "N")) : null, (JobChange)int.Parse(parts[1]));
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "What other schedulers do is not heard of at once, or they not of what this one does, until Postgres answers again")]
    private partial void LogBroken(Exception fault);
}
