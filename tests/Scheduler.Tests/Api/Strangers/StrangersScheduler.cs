using System.Diagnostics.Metrics;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Tests.Fixtures;

namespace Cluster.Scheduler.Tests.Api.Strangers;

/// <summary>The one scheduler that all strangers call, with counts of what it still holds for them.</summary>
public sealed class StrangersScheduler(PostgresServer postgres) : IAsyncLifetime
{
    private readonly MeterListener _meters = new();
    private long _openRequests;
    private int _readEntries;

    public TestScheduler Scheduler { get; private set; } = null!;

    /// <summary>Requests that the server has not ended yet, by ASP.NET Core's own count.</summary>
    public long OpenRequests => Interlocked.Read(ref _openRequests);

    public async ValueTask InitializeAsync()
    {
        // The server's own log says how each message came in.
        Scheduler = await TestScheduler.StartAsync(postgres, ("Logging:LogLevel:Grpc.AspNetCore.Server", "Trace"));
        var mine = Scheduler.Get<IMeterFactory>();
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "http.server.active_requests" && ReferenceEquals(instrument.Meter.Scope, mine))
                listener.EnableMeasurementEvents(instrument);
        };
        _meters.SetMeasurementEventCallback<long>((_, change, _, _) => Interlocked.Add(ref _openRequests, change));
        _meters.Start();
    }

    public async ValueTask DisposeAsync()
    {
        _meters.Dispose();
        if (Scheduler is not null)
            await Scheduler.DisposeAsync();
    }

    /// <summary>Returns once the server has nothing left of any call. None of them may have counted as a fault of the scheduler.</summary>
    public async Task WhenAllIsFreedAsync()
    {
        await Eventually.HoldsAsync(() => OpenRequests == 0 && Scheduler.Watchers == 0);
        var unread = Scheduler.Log.Entries.Skip(_readEntries).ToList();
        _readEntries += unread.Count;
        unread.Where(entry => entry.Category == typeof(ErrorInterceptor).FullName)
            .Select(entry => $"{entry.Message}: {entry.Exception}").ShouldBeEmpty();
    }
}

[CollectionDefinition]
public sealed class StrangersTests : ICollectionFixture<StrangersScheduler>;
