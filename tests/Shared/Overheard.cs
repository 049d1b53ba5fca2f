using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Cluster.Tests.Shared;

/// <summary>What the process's spans and measurements say, of all sources, as text.</summary>
internal sealed class Overheard : IDisposable
{
    private readonly ConcurrentDictionary<string, bool> _said = [];
    private readonly ActivityListener _spans;
    private readonly MeterListener _measurements;

    public Overheard()
    {
        _spans = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = Hear,
        };
        ActivitySource.AddActivityListener(_spans);
        _measurements = new MeterListener { InstrumentPublished = (instrument, listener) => listener.EnableMeasurementEvents(instrument) };
        _measurements.SetMeasurementEventCallback<int>((_, _, tags, _) => Hear(tags));
        _measurements.SetMeasurementEventCallback<long>((_, _, tags, _) => Hear(tags));
        _measurements.SetMeasurementEventCallback<double>((_, _, tags, _) => Hear(tags));
        _measurements.Start();
    }

    public ICollection<string> Said => _said.Keys;

    public void Dispose()
    {
        _spans.Dispose();
        _measurements.Dispose();
    }

    private void Hear(Activity span)
    {
        Hear($"{span.DisplayName} {span.StatusDescription} {span.TraceStateString}");
        Hear(span.TagObjects);
        Hear(span.Baggage.Select(pair => new KeyValuePair<string, object?>(pair.Key, pair.Value)));
        foreach (var happened in span.Events)
        {
            Hear(happened.Name);
            Hear(happened.Tags);
        }
    }

    private void Hear(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        foreach (var tag in tags)
            Hear(tag);
    }

    private void Hear(IEnumerable<KeyValuePair<string, object?>> tags)
    {
        foreach (var tag in tags)
            Hear(tag);
    }

    private void Hear(KeyValuePair<string, object?> tag) => Hear($"{tag.Key}={tag.Value}");

    private void Hear(string text) => _said.TryAdd(text, true);
}
