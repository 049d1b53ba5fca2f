using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Runs;

namespace Cluster.Scheduler.Dashboard;

/// <summary>
/// One job's curves as a page has been sent them. However long the job trains, this, what is sent of it and what the page keeps have a
/// bound.
/// </summary>
/// <remarks>
/// Events: "metrics" with points by step and "epochs" with points by epoch; before points that stand for others, "thin" with what they
/// stand for: one of the two's points of a series from one x to another or without an end, or all points that there are.
/// </remarks>
/// <param name="names">The series that are shown.</param>
/// <param name="maxPoints">As in <see cref="Curve"/>.</param>
/// <param name="ofSeveral">It is one of several jobs on its page: events name it, and it is compared by the means of epochs too.</param>
public sealed class JobCurves(
    MetricStore metrics, CurveStore store, IReadOnlyCollection<string> names, int maxPoints, bool ofSeveral)
{
    // A message of a few hundred kilobytes; a browser parses it without a stutter.
    private const int PointsPerMessage = 4000;

    // JSON has no number for what is not finite; as in protobuf's JSON it is a text: "NaN", "Infinity", "-Infinity".
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly Dictionary<string, Curve> _bySteps = [];
    private readonly Dictionary<string, EpochMeans> _byEpochs = [];
    private int _attempt;
    private long _cursor;

    /// <summary>Reads on to the newest point, and gives what has changed by it.</summary>
    public async IAsyncEnumerable<SseItem<string>> ReadAsync(Job job, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (job.Attempt != _attempt && _cursor > 0)
        {
            // The attempt has gone back to a checkpoint: points after it, which buckets may stand on, count no more.
            _bySteps.Clear();
            _byEpochs.Clear();
            _cursor = 0;
            yield return Item("thin", new { job = NameOf(job) });
        }

        _attempt = job.Attempt;
        await ReadOnAsync(JobId.Parse(job.Id), cancellationToken);

        foreach (var (name, curve) in _bySteps)
        {
            var items = Items(job, "metrics", name, curve.TakeChange(), p => new { name, step = p.X, epoch = p.Epoch, value = p.Y });
            foreach (var item in items)
                yield return item;
        }

        foreach (var (name, means) in _byEpochs)
        {
            foreach (var item in Items(job, "epochs", name, means.TakeChange(), p => new { name, epoch = p.X, value = p.Y }))
                yield return item;
        }
    }

    private async Task ReadOnAsync(JobId job, CancellationToken cancellationToken)
    {
        // Means are of all points, so those that are shown with them are made of all points too.
        if (_cursor == 0 && !ofSeveral)
        {
            (var series, _cursor) = await store.ReadAsync(job, names, maxPoints, cancellationToken);
            foreach (var (name, curve) in series)
                _bySteps.Add(name, curve);
            return;
        }

        await foreach (var page in metrics.ReadAsync(job, names, afterStep: 0, _cursor, cancellationToken))
        {
            _cursor = page.Cursor;
            foreach (var point in page.Points)
                Add(point);
        }
    }

    private IEnumerable<SseItem<string>> Items<T>(Job job, string what, string name, CurveChange? change, Func<CurvePoint, T> form)
    {
        if (change?.Replaced is { } range)
            yield return Item("thin", new { job = NameOf(job), what, name, from = range.From, to = range.To });
        foreach (var points in change?.Points.Chunk(PointsPerMessage) ?? [])
            yield return Item(what, new { job = NameOf(job), points = points.Select(form) });
    }

    private string? NameOf(Job job) => ofSeveral ? job.Id : null;

    private void Add(MetricPoint point)
    {
        if (!_bySteps.TryGetValue(point.Name, out var curve))
            _bySteps.Add(point.Name, curve = new Curve(maxPoints));
        curve.Add(new CurvePoint(point.Step, point.Value, point.Epoch));
        if (!ofSeveral)
            return;
        if (!_byEpochs.TryGetValue(point.Name, out var means))
            _byEpochs.Add(point.Name, means = new EpochMeans(maxPoints));
        means.Add(point.Epoch, point.Value);
    }

    private static SseItem<string> Item<T>(string name, T data) => new(JsonSerializer.Serialize(data, Json), name);
}
