using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Runs;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>
/// The janitor of a scheduler without grains, with a clock of its own: years pass at once where no silo counts each of its timers' ticks.
/// </summary>
public sealed class TestJanitor : IAsyncDisposable
{
    private readonly CapturedLog _log = new();
    private readonly ServiceProvider _services;

    public TestJanitor(string connectionString, DateTimeOffset now, Action<RetentionOptions>? configure = null)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("Persistence:ConnectionString", connectionString), new("Persistence:Retries", "0")]).Build();
        Time = new FakeTimeProvider(now);
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton<JobFeed>();
        services.AddLogging(logging => logging.AddProvider(_log));
        services.AddPersistence(configuration);
        services.AddCheckpoints(configuration);
        services.AddLogs(configuration);
        services.AddRuns();
        services.AddAudit();
        services.AddRetention(configuration);
        services.Configure<RetentionOptions>(options => configure?.Invoke(options));
        _services = services.BuildServiceProvider();
    }

    public FakeTimeProvider Time { get; }

    /// <returns>Null: another one is at it.</returns>
    internal Task<SweepTally?> TrySweepAsync() => _services.GetRequiredService<Janitor>().SweepAsync(TestContext.Current.CancellationToken);

    /// <summary>A sweep no part of which fails.</summary>
    internal async Task<SweepTally> SweepAsync()
    {
        var removed = (await TrySweepAsync()).ShouldNotBeNull();
        _log.Entries.Where(entry => entry.Exception is not null).ShouldBeEmpty();
        return removed;
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
