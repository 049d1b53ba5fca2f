using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Cluster.Worker.Agent;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Tests.Agent;
using Microsoft.Extensions.DependencyInjection;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Telemetry;

public sealed class AgentMetricsTests : AgentTest
{
    [Theory]
    [InlineData(0, 0, "done")]
    [InlineData(75, 0, "stopped")]
    [InlineData(78, 0, "misconfigured")]
    [InlineData(1, 0, "failed")]
    [InlineData(0, 9, "signal")]
    public void Ends_AreCountedByOutcome(int exitCode, int signal, string outcome)
    {
        using var measured = new Measured();

        AgentMetrics.Ended(new ProcessEnd(exitCode, signal));

        measured.Values.ShouldContain(("agent.trainer.ends", outcome, 1.0));
    }

    [Fact]
    public async Task SlotUtilization_IsWhatTheHeartbeatSaid()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        await agent.LaunchAsync(ALaunch(), End);
        await NextAsync(Scheduler.Heartbeats, beat => beat.Devices.Count == 2);
        using var measured = new Measured();

        // A beat may leave out a slot whose trainer has only just begun: until one tells of it.
        while (!TellsOfTheFirstSlot())
            await Task.Delay(20, End);

        agent.Services.GetRequiredService<NodeDevices>().All.Count.ShouldBe(2);

        bool TellsOfTheFirstSlot()
        {
            measured.Observe();
            return measured.Values.Any(value => value is { Name: "agent.slot.utilization", Tag: "cpu:0" });
        }
    }

    private sealed class Measured : IDisposable
    {
        private readonly MeterListener _listener = new();

        public Measured()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == WorkerTelemetry.AgentName)
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
            _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
            _listener.Start();
        }

        public ConcurrentQueue<(string Name, string? Tag, double Value)> Values { get; } = new();

        public void Observe() => _listener.RecordObservableInstruments();

        public void Dispose() => _listener.Dispose();

        private void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            Values.Enqueue((instrument.Name, tags.Length > 0 ? tags[0].Value?.ToString() : null, value));
    }
}
