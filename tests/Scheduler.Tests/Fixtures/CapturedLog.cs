using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>What a scheduler logged, for tests to read.</summary>
public sealed class CapturedLog : ILoggerProvider
{
    private readonly ConcurrentQueue<LogEntry> _entries = new();
    private readonly ConcurrentQueue<string> _scopes = new();

    public IReadOnlyList<LogEntry> Entries => [.. _entries];

    /// <summary>What entries were put around with.</summary>
    public IReadOnlyList<string> Scopes => [.. _scopes];

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _entries, _scopes);

    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<LogEntry> entries, ConcurrentQueue<string> scopes) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            scopes.Enqueue($"{state}");
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            entries.Enqueue(new LogEntry(category, logLevel, formatter(state, exception), exception)
            {
                Properties = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(' ', pairs) : "",
            });
    }
}

public sealed record LogEntry(string Category, LogLevel Level, string Message, Exception? Exception)
{
    /// <summary>What the message was made of, and what else was given with it.</summary>
    public string Properties { get; init; } = "";
}
