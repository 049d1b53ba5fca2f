using System.Collections.Concurrent;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Cluster.Worker.Agent;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Secrets that an agent holds, looked for in all that it says and writes.</summary>
public sealed class AgentSecretTests : AgentTest
{
    [Fact]
    public async Task Secrets_AreInNoLogOfAnyLevel_NoSpan_NoMeasurement_AndNoFile()
    {
        const string Attempt = "planted-secret-of-the-attempt";
        const string Wrong = "planted-secret-that-is-wrong";
        using var overheard = new Overheard();
        using var log = new Log();
        await using var agent = await RunningAgent.StartAsync(
            Scheduler, "exit 3", End,
            services => services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log)),
            [.. new[] { "Default", "Microsoft", "Polly", "System.Net.Http" }.Select(name => $"--Logging:LogLevel:{name}=Trace")]);
        var launch = RunningAgent.ALaunch();
        launch.AttemptSecret = Attempt;

        await agent.LaunchAsync(launch, End);
        await Should.ThrowAsync<RpcException>(() => agent.Client.LaunchAsync(launch, agent.Options(End, Wrong)).ResponseAsync);
        await Should.ThrowAsync<RpcException>(
            () => agent.Client.LaunchAsync(new LaunchRequest(launch) { JobId = "none" }, agent.Options(End)).ResponseAsync);
        await Scheduler.Exits.Reader.ReadAsync(End);
        await agent.EndAsync(End);

        log.Lines.ShouldContain(line => line.Contains("Cluster.Worker", StringComparison.Ordinal));
        log.Lines.ShouldContain(line => line.Contains("Microsoft.AspNetCore", StringComparison.Ordinal));
        var said = log.Lines.Concat(overheard.Said).ToList();
        foreach (var file in Directory.EnumerateFiles(agent.StateFolder, "*", SearchOption.AllDirectories)
            .Where(file => file != agent.Socket && new FileInfo(file).Length > 0)) // the lock is empty, and held
            said.Add($"{file}: {await File.ReadAllTextAsync(file, End)}");
        foreach (var secret in new[] { agent.Registration.AgentSecret, Attempt, Wrong })
            said.ShouldNotContain(text => text.Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public void WhatHoldsASecret_DoesNotSayItAsText()
    {
        var (found, telling) = SecretHolders.In(typeof(AgentOptions).Assembly);

        found.ShouldBeGreaterThan(2);
        telling.ShouldBeEmpty();
    }

    private sealed class Log : ILoggerProvider
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

        public void Dispose()
        {
        }

        private sealed class Logger(string category, ConcurrentQueue<string> lines) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull
            {
                lines.Enqueue($"{category}: {state}");
                return null;
            }

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(
                LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                var properties = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(' ', pairs) : "";
                lines.Enqueue($"{category}: {formatter(state, exception)} {properties} {exception}");
            }
        }
    }
}
