using System.Globalization;
using System.Text;
using Cluster.EndToEnd.Tests.Telemetry.Metrics;

namespace Cluster.EndToEnd.Tests.Telemetry;

/// <summary>
/// What the collector of deploy/telemetry/collector.yaml makes of OTLP metrics for Prometheus, since no such collector is in Debian: names
/// by OpenTelemetry's specification (Prometheus compatibility), a few attributes of the resource as labels, and exemplars.
/// </summary>
internal static class OpenMetrics
{
    public const string ContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    // The collector's transform puts these at each point.
    private static readonly string[] Promoted = ["cluster.job.id", "cluster.rank", "host.name"];

    private static readonly Dictionary<string, string> Units = new()
    {
        ["s"] = "seconds",
        ["ms"] = "milliseconds",
        ["By"] = "bytes",
        ["Cel"] = "celsius",
        ["W"] = "watts",
        ["%"] = "percent",
        ["1"] = "",
    };

    public static string Write(IEnumerable<((Resource Process, string Name) Key, Metric Metric)> metrics)
    {
        var text = new StringBuilder();
        // A family's lines stand together, whoever sent them.
        foreach (var family in metrics.GroupBy(sent => Family(sent.Metric)).Where(family => family.Key.Type.Length > 0))
        {
            text.Append($"# TYPE {family.Key.Name} {family.Key.Type}\n");
            foreach (var (key, metric) in family)
                WritePoints(text, family.Key.Name, key.Process, metric);
        }

        return text.Append("# EOF\n").ToString();
    }

    private static void WritePoints(StringBuilder text, string name, Resource process, Metric metric)
    {
        if (metric.DataCase == Metric.DataOneofCase.Histogram)
        {
            foreach (var point in metric.Histogram.DataPoints)
                WriteHistogram(text, name, Labels(process, point.Attributes), point);
            return;
        }

        var isCounter = metric.DataCase == Metric.DataOneofCase.Sum && metric.Sum.IsMonotonic;
        foreach (var point in metric.DataCase == Metric.DataOneofCase.Sum ? metric.Sum.DataPoints : metric.Gauge.DataPoints)
        {
            var value = point.ValueCase == NumberDataPoint.ValueOneofCase.AsInt ? point.AsInt : point.AsDouble;
            text.Append($"{name}{(isCounter ? "_total" : "")}{{{Labels(process, point.Attributes)}}} {Number(value)}\n");
        }
    }

    private static void WriteHistogram(StringBuilder text, string name, string labels, HistogramDataPoint point)
    {
        var (below, lower) = (0UL, double.NegativeInfinity);
        for (var bucket = 0; bucket < point.BucketCounts.Count; bucket++)
        {
            below += point.BucketCounts[bucket];
            var bound = bucket < point.ExplicitBounds.Count ? point.ExplicitBounds[bucket] : double.PositiveInfinity;
            text.Append($"{name}_bucket{{{labels},le=\"{Number(bound)}\"}} {below}");
            if (point.Exemplars.LastOrDefault(exemplar => ValueOf(exemplar) > lower && ValueOf(exemplar) <= bound) is { } kept)
            {
                text.Append($" # {{trace_id=\"{Hex(kept.TraceId)}\",span_id=\"{Hex(kept.SpanId)}\"}} ");
                text.Append($"{Number(ValueOf(kept))} {Number(kept.TimeUnixNano / 1e9)}");
            }

            text.Append('\n');
            lower = bound;
        }

        text.Append($"{name}_sum{{{labels}}} {Number(point.Sum)}\n{name}_count{{{labels}}} {point.Count}\n");
    }

    /// <summary>The type is empty for what .NET does not send.</summary>
    private static (string Name, string Type) Family(Metric metric)
    {
        var words = new string([.. metric.Name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '_')])
            .Split('_', StringSplitOptions.RemoveEmptyEntries).ToList();
        var unit = metric.Unit.Contains('{') ? "" : Units.GetValueOrDefault(metric.Unit, metric.Unit);
        if (unit.Length > 0 && !words.Contains(unit))
            words.Add(unit);
        if (metric is { DataCase: Metric.DataOneofCase.Gauge, Unit: "1" })
            words.Add("ratio");
        return (string.Join('_', words), metric.DataCase switch
        {
            Metric.DataOneofCase.Sum when metric.Sum.IsMonotonic => "counter",
            Metric.DataOneofCase.Sum or Metric.DataOneofCase.Gauge => "gauge",
            Metric.DataOneofCase.Histogram => "histogram",
            _ => "",
        });
    }

    private static string Labels(Resource process, IEnumerable<KeyValue> attributes)
    {
        var told = process.Attributes.ToDictionary(attribute => attribute.Key, attribute => attribute.Value);
        var labels = attributes.Select(attribute => (attribute.Key, attribute.Value))
            .Concat(Promoted.Where(told.ContainsKey).Select(name => (name, told[name])))
            .Append(("job", told["service.name"])).Append(("instance", told["service.instance.id"]));
        return string.Join(',', labels.Select(label => $"{LabelName(label.Item1)}=\"{Escaped(Text(label.Item2))}\""));
    }

    private static string LabelName(string name) => new([.. name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '_')]);

    private static string Text(AnyValue value) => value.ValueCase switch
    {
        AnyValue.ValueOneofCase.IntValue => value.IntValue.ToString(CultureInfo.InvariantCulture),
        AnyValue.ValueOneofCase.DoubleValue => Number(value.DoubleValue),
        AnyValue.ValueOneofCase.BoolValue => value.BoolValue ? "true" : "false",
        _ => value.StringValue,
    };

    private static string Escaped(string text) => text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");

    private static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    private static double ValueOf(Exemplar exemplar) =>
        exemplar.ValueCase == Exemplar.ValueOneofCase.AsInt ? exemplar.AsInt : exemplar.AsDouble;

    private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);
}
