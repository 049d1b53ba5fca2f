using System.Diagnostics.Metrics;
using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Telemetry;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace Cluster.Scheduler.Tests.Changes;

public sealed class JobFeedRelayTests(PostgresServer postgres)
{
    // No test waits so long: what comes is told, and not found by a look.
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Change_OfOneScheduler_IsHeardOfByAnother_ByItsKindAndJob()
    {
        var database = await postgres.CreateDatabaseAsync(Token);
        await using var here = await StartAsync(database);
        await using var there = await StartAsync(database);
        var (job, other) = (JobId.New(), JobId.New());
        using var state = there.Feed.Subscribe(job, JobChange.State);
        using var logs = there.Feed.Subscribe(job, JobChange.Logs);
        using var another = there.Feed.Subscribe(other, JobChange.All);
        var (untold, untoldOther) = (logs.WaitAsync(Long, Token), another.WaitAsync(Long, Token));

        here.Feed.Publish(job, JobChange.State | JobChange.Metrics);
        await state.WaitAsync(Long, Token);

        (untold.IsCompleted || untoldOther.IsCompleted).ShouldBeFalse();
        here.Feed.Publish(job, JobChange.Logs);
        await untold;
        here.Feed.PublishReasons(_ => false);
        await untoldOther;
        var agent = there.Feed.NextAgent;
        here.Feed.PublishAgent();
        await agent.WaitAsync(Long, Token);
    }

    [Fact]
    public async Task Listener_WhoseConnectionBroke_IsThereAgain_AndWakesEveryoneOnce()
    {
        var database = await postgres.CreateDatabaseAsync(Token);
        await using var here = await StartAsync(database);
        await using var there = await StartAsync(database);
        var job = JobId.New();
        using var watch = there.Feed.Subscribe(job, JobChange.Logs);

        await using var source = NpgsqlDataSource.Create(database + ";Pooling=false");
        await using var cut = source.CreateCommand(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                + "where datname = current_database() and application_name like 'scheduler % changes %'");
        (await cut.ExecuteScalarAsync(Token)).ShouldBe(2L);

        // Something may have been missed.
        await watch.WaitAsync(Long, Token);
        here.Feed.Publish(job, JobChange.Logs);
        await watch.WaitAsync(Long, Token);
    }

    [Fact]
    public async Task Lag_IsMeasuredByWhoMadeTheChange()
    {
        var measured = new TaskCompletionSource<double>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Made before anybody listens: the listener is called while the others are made, and must not ask for what is not there yet.
        var lag = SchedulerTelemetry.FeedLag;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument == lag)
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, value, _, _) => measured.TrySetResult(value));
        listener.Start();
        await using var here = await StartAsync(await postgres.CreateDatabaseAsync(Token));

        here.Feed.Publish(JobId.New(), JobChange.State);

        (await measured.Task.WaitAsync(Token)).ShouldBeGreaterThan(0);
    }

    private static async Task<Scheduler> StartAsync(string database)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("Persistence:ConnectionString", database)]);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddSingleton<JobFeed>();
        builder.Services.AddHostedService<JobFeedRelay>();
        var host = builder.Build();
        var feed = host.Services.GetRequiredService<JobFeed>();
        using var all = feed.SubscribeToAll(JobChange.All);
        await host.StartAsync(Token);
        // It wakes everyone when it begins to listen.
        await all.WaitAsync(Long, Token);
        return new Scheduler(host, feed);
    }

    private sealed record Scheduler(IHost Host, JobFeed Feed) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Host.StopAsync();
            Host.Dispose();
        }
    }
}
