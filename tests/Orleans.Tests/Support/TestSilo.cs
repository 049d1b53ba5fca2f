using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace Cluster.Orleans.Tests.Support;

/// <summary>A started host with grains and a clock that stands still.</summary>
internal sealed class TestSilo : IAsyncDisposable
{
    private readonly IHost _host;

    private TestSilo(IHost host) => _host = host;

    public FakeTimeProvider Clock => (FakeTimeProvider)_host.Services.GetRequiredService<TimeProvider>();

    public IGrainFactory Grains => _host.Services.GetRequiredService<IGrainFactory>();

    /// <summary>What grains and tests tell each other past the calls under test.</summary>
    public Journal Journal => _host.Services.GetRequiredService<Journal>();

    public Silo Silo => _host.Services.GetRequiredService<Silo>();

    public CollectedLog Log => _host.Services.GetRequiredService<CollectedLog>();

    public static async Task<TestSilo> StartAsync(Action<ISiloBuilder>? configure = null, params (string Key, string Value)[] settings)
    {
        var host = Build(configure, settings);
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new TestSilo(host);
    }

    public static IHost Build(Action<ISiloBuilder>? configure = null, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        foreach (var (key, value) in settings)
            builder.Configuration[key] = value;
        builder.Services.AddSingleton<TimeProvider>(new FakeTimeProvider());
        builder.Services.AddSingleton<Journal>();
        builder.Services.AddSingleton<CollectedLog>();
        builder.Services.AddSingleton<ILoggerProvider>(services => services.GetRequiredService<CollectedLog>());
        builder.UseOrleans(silo => configure?.Invoke(silo));
        return builder.Build();
    }

    public Task StopAsync(CancellationToken cancellationToken) => _host.StopAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        // Whatever a test left waiting must not hold up the end.
        Journal.OpenAll();
        var stop = _host.StopAsync(CancellationToken.None);
        while (!stop.IsCompleted)
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await stop;
        _host.Dispose();
    }
}

/// <summary>Notes of what happened, in order, and gates that hold a grain until the test opens them.</summary>
internal sealed class Journal
{
    private readonly ConcurrentQueue<string> _notes = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _gates = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _seen = new();

    public string[] Notes => [.. _notes];

    public void Note(string note)
    {
        _notes.Enqueue(note);
        Signal(_seen, note).TrySetResult();
    }

    /// <summary>Completes once the note was made.</summary>
    public Task Seen(string note) => Signal(_seen, note).Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

    public Task Gate(string name) => Signal(_gates, name).Task;

    public void OpenAll()
    {
        foreach (var gate in _gates.Values)
            gate.TrySetResult();
    }

    public void Open(string name) => Signal(_gates, name).TrySetResult();

    private static TaskCompletionSource Signal(ConcurrentDictionary<string, TaskCompletionSource> signals, string name) =>
        signals.GetOrAdd(name, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>Keeps what the runtime logs.</summary>
internal sealed class CollectedLog : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string Text, Exception? Exception)> _entries = new();

    public (LogLevel Level, string Text, Exception? Exception)[] Entries => [.. _entries];

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue((logLevel, formatter(state, exception), exception));

    public void Dispose()
    {
    }
}
