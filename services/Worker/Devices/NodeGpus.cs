using System.Diagnostics.Metrics;
using Cluster.Contracts.V1;
using Cluster.Worker.Telemetry;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Worker.Devices;

/// <summary>
/// The GPUs that a node offers: their numbers and cores, found once when the agent starts, and what they say of themselves.
/// </summary>
/// <remarks>Metrics have the names of OpenTelemetry's semantic conventions for hardware.</remarks>
internal sealed class NodeGpus : IDisposable
{
    private readonly Nvml _nvml;
    private readonly GpuFaults _faults;
    private readonly GpuPoll _poll;
    private readonly IReadOnlyDictionary<string, IReadOnlyList<int>> _cores;
    private readonly Meter _meter = new(WorkerTelemetry.AgentName);

    /// <param name="nvml">Knows them; from here on this object's.</param>
    /// <param name="offered">By number.</param>
    /// <param name="cores">That their trainers may use.</param>
    /// <param name="topology">Of the machine.</param>
    /// <param name="timeProvider">The clock.</param>
    /// <param name="logger">Is told faults.</param>
    public NodeGpus(
        Nvml nvml, IReadOnlyList<OfferedGpu> offered, IReadOnlyList<int> cores, HostTopology topology, TimeProvider timeProvider,
        ILogger logger)
    {
        (_nvml, Offered) = (nvml, offered);
        _cores = GpuCores.Divide(offered, cores, topology);
        _faults = new GpuFaults(nvml, [.. offered.Select(gpu => gpu.Gpu.Card).Distinct()], logger);
        _poll = new GpuPoll(() => Offered.ToDictionary(gpu => gpu.Id, gpu => nvml.Read(gpu.Gpu)), timeProvider, logger);
        _meter.CreateObservableGauge(
            "hw.gpu.utilization", () => Of(reading => reading.Utilization), "1", "Share of time in which a kernel ran.");
        _meter.CreateObservableUpDownCounter(
            "hw.gpu.memory.usage", () => Of(reading => reading.UsedMemoryBytes), "By", "Memory in use, by whatever process.");
        _meter.CreateObservableUpDownCounter("hw.gpu.memory.limit", Limits, "By", "Memory that there is.");
        _meter.CreateObservableGauge("hw.temperature", () => Of(reading => reading.TemperatureCelsius), "Cel", "Of the card's processor.");
        _meter.CreateObservableGauge("hw.power", () => Of(reading => reading.PowerWatts), "W", "That the card draws.");
        _meter.CreateObservableCounter(
            "hw.errors", Errors, "{error}", "Errors of memory since the driver was loaded, and faults (XID) since the agent started.");
    }

    public IReadOnlyList<OfferedGpu> Offered { get; }

    /// <summary>What CUDA calls a device of the node; null where it is none of these.</summary>
    public string? UuidOf(string id) => Offered.FirstOrDefault(gpu => gpu.Id == id)?.Gpu.Uuid;

    /// <summary>That a device's trainer is bound to.</summary>
    public IReadOnlyList<int> CoresOf(string id) => _cores[id];

    /// <summary>For the scheduler: what a device said last, whether the driver still answers, and the faults of its card.</summary>
    public DeviceMeasurement Measure(string id)
    {
        var (readings, unanswered) = _poll.Latest();
        var reading = readings.GetValueOrDefault(id, new GpuReading());
        var health = HealthOf(id, reading);
        health.Unanswered = unanswered is { } silence ? Duration.FromTimeSpan(silence) : null;
        var measurement = new DeviceMeasurement { Device = id, Gpu = health };
        if (reading.Utilization is { } utilization)
            measurement.Utilization = utilization;
        return measurement;
    }

    public void Dispose()
    {
        _meter.Dispose();
        _faults.Dispose();
        _poll.Dispose();
        // A library that a thread is still in stays, to the end of the process.
        if (!_faults.IsStuck && !_poll.IsStuck)
            _nvml.Dispose();
    }

    private GpuHealth HealthOf(string id, GpuReading reading)
    {
        var health = new GpuHealth();
        if (reading.TemperatureCelsius is { } temperature)
            health.TemperatureCelsius = temperature;
        if (reading.PowerWatts is { } power)
            health.PowerWatts = power;
        if (reading.UsedMemoryBytes is { } used)
            health.UsedMemoryBytes = used;
        if (reading.CorrectedEccErrors is { } corrected)
            health.CorrectedErrors = corrected;
        if (reading.UncorrectedEccErrors is { } uncorrected)
            health.UncorrectedErrors = uncorrected;
        var card = Offered.First(gpu => gpu.Id == id).Gpu.Card.Uuid;
        foreach (var (_, xid, count) in _faults.All.Where(fault => fault.Card == card))
            health.Xids.Add(xid, count);
        return health;
    }

    private IEnumerable<Measurement<T>> Of<T>(Func<GpuReading, T?> figure)
        where T : struct
    {
        var (readings, unanswered) = _poll.Latest();
        // A line that went on as it was would look like a GPU's.
        if (unanswered is not null)
            yield break;
        foreach (var (id, reading) in readings)
        {
            if (figure(reading) is { } value)
                yield return Measured(value, id);
        }
    }

    private IEnumerable<Measurement<long>> Limits() => Offered.Select(gpu => Measured(gpu.Gpu.MemoryBytes, gpu.Id));

    /// <summary>Of cards: instances of one share them, and each would count them again.</summary>
    private IEnumerable<Measurement<long>> Errors()
    {
        var (readings, _) = _poll.Latest();
        foreach (var card in Offered.DistinctBy(gpu => gpu.Gpu.Card))
        {
            var id = card.Gpu.IsInstance ? card.Gpu.Card.Uuid : card.Id;
            if (readings.TryGetValue(card.Id, out var reading))
            {
                if (reading.CorrectedEccErrors is { } corrected)
                    yield return Measured(corrected, id, "corrected");
                if (reading.UncorrectedEccErrors is { } uncorrected)
                    yield return Measured(uncorrected, id, "uncorrected");
            }

            foreach (var (_, xid, count) in _faults.All.Where(fault => fault.Card == card.Gpu.Card.Uuid))
                yield return Measured(count, id, FormattableString.Invariant($"xid_{xid}"));
        }
    }

    private static Measurement<T> Measured<T>(T value, string id, string? error = null)
        where T : struct
    {
        var tags = new List<KeyValuePair<string, object?>> { new("hw.id", id), new("hw.type", "gpu") };
        if (error is not null)
            tags.Add(new("error.type", error));
        return new Measurement<T>(value, tags);
    }
}
