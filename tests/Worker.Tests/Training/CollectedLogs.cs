using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Training;

/// <summary>Keeps what is logged.</summary>
internal sealed class CollectedLogs : ILoggerFactory
{
    private readonly ConcurrentQueue<(LogLevel Level, string Message)> _lines = new();

    public IReadOnlyList<string> Warnings => [.. _lines.Where(line => line.Level == LogLevel.Warning).Select(line => line.Message)];

    public IReadOnlyList<string> All => [.. _lines.Select(line => line.Message)];

    public ILogger CreateLogger(string categoryName) => new Logger(this);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
        // Holds nothing.
    }

    private sealed class Logger(CollectedLogs logs) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            logs._lines.Enqueue((logLevel, formatter(state, exception)));
    }
}
