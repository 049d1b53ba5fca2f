using System.Collections.Immutable;
using System.Globalization;
using Cluster.Placement;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Bench.Placement;

/// <summary>
/// Jobs in the shape of Microsoft's Philly trace (Jeon et al. 2019, arXiv:1901.05758): most have one GPU, few many; runtimes over three
/// orders of magnitude, longer for larger ones; arrivals by day; about 30 % fail; virtual clusters whose demand is not their quota.
/// </summary>
internal sealed class Trace
{
    public const int GpusPerNode = 8;

    private const int QueueCount = 14;

    // How far jobs' runtimes are apart in all, and those of jobs that are alike in all that is known of them; how far off the end is of one
    // whose steps are measured.
    private const double RuntimeDeviation = 1.5;
    private const double LikeDeviation = 0.6;
    private const double MeasuredDeviation = 0.05;
    private const double LateDeviations = 1.2816;

    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Limit = TimeSpan.FromHours(10);

    private static readonly (int Gpus, double Share, double MedianMinutes)[] Sizes =
        [(1, 0.62, 18), (2, 0.11, 30), (4, 0.10, 40), (8, 0.11, 60), (16, 0.04, 90), (32, 0.015, 120), (64, 0.005, 150)];

    private readonly Random _random;

    /// <param name="load">The work that comes, against what the cluster does in the time.</param>
    public Trace(int jobs, int nodes, double load, int seed)
    {
        _random = new Random(seed);
        Nodes = nodes;
        var demand = Enumerable.Range(0, QueueCount).Select(_ => 0.3 + _random.NextDouble()).ToArray();
        var quotas = demand.Select(share => share * (0.4 + (1.2 * _random.NextDouble()))).ToArray();
        Queues =
        [
            .. quotas.Select((quota, i) => new QueueSpec(NameOf(i))
            {
                Quotas = ImmutableDictionary<DeviceClass, Quota>.Empty.Add(
                    DeviceClass.Cuda, new Quota((int)(quota / quotas.Sum() * nodes * GpusPerNode))),
            }),
        ];
        var shapes = Enumerable.Range(0, jobs).Select(i => Draw(i, demand)).ToList();
        // The arrivals' pace makes the load; nights have a third of a day's.
        var seconds = shapes.Sum(job => job.Work.TotalSeconds) / (nodes * GpusPerNode * load);
        var at = DateTimeOffset.UnixEpoch;
        foreach (var job in shapes)
        {
            var byDay = 1 + (0.5 * Math.Sin(2 * Math.PI * at.TimeOfDay.TotalDays));
            at = at.AddSeconds(-Math.Log(1 - _random.NextDouble()) * seconds / jobs / byDay);
            Jobs.Add((job with { Terms = job.Terms with { Age = at } }, at));
        }
    }

    public int Nodes { get; }

    public IReadOnlyList<QueueSpec> Queues { get; }

    public List<(VirtualJob Job, DateTimeOffset At)> Jobs { get; } = [];

    /// <summary>Queues whose jobs need more in all than the quota gives in that time.</summary>
    public HashSet<QueueKey> Beyond()
    {
        var (hours, work) = ((Jobs[^1].At - Jobs[0].At).TotalHours, Jobs.ToLookup(each => each.Job.Terms.Queue));
        return
        [
            .. Queues.Where(queue => work[queue.Key].Sum(each => each.Job.Work.TotalHours)
                > queue.Quotas[DeviceClass.Cuda].Nominal * hours).Select(queue => queue.Key),
        ];
    }

    public static RegisteredNode NodeOf(int i) => new(
        new NodeKey(Id(i + 1, 1)), string.Create(CultureInfo.InvariantCulture, $"node-{i:D4}"), 1, true, null,
        new Dictionary<string, string>(), new HashSet<string>(),
        [.. Enumerable.Range(0, GpusPerNode).Select(g => new RegisteredDevice($"cuda:{g}", DeviceClass.Cuda, 0))]);

    private VirtualJob Draw(int i, double[] demand)
    {
        var (gpus, _, median) = Pick(Sizes, size => size.Share);
        var queue = Array.IndexOf(demand, Pick(demand, share => share));
        // What is known of a job is the median of those like it, from which it deviates: not the other way round.
        var like = TimeSpan.FromMinutes(median)
            * Math.Exp(Math.Sqrt(Math.Pow(RuntimeDeviation, 2) - Math.Pow(LikeDeviation, 2)) * Normal());
        var runs = Within(like * Math.Exp(LikeDeviation * Normal()));
        var failure = _random.NextDouble();
        var fails = failure < 0.3;
        var terms = new WaitingJob(
            new JobKey(Id(i + 1, 0)), NameOf(queue),
            new DeviceNeed(gpus, DeviceClass.Cuda, 0, ImmutableDictionary<string, string>.Empty, "", default),
            _random.NextDouble() < 0.1 ? 1 : 0, default, null, ImmutableHashSet<NodeKey>.Empty)
        {
            // A few owners of a queue have most of its jobs.
            Owner = string.Create(CultureInfo.InvariantCulture, $"{queue}-{(int)(8 * Math.Pow(_random.NextDouble(), 2))}"),
            Runtime = new ExpectedRuntime(Within(like), Within(like * Math.Exp(LateDeviations * LikeDeviation))),
        };
        return new VirtualJob(terms, runs * gpus)
        {
            CheckpointEvery = TimeSpan.FromMinutes(5 + (55 * _random.NextDouble())),
            Restarting = TimeSpan.FromMinutes(1),
            MinRuntime = TimeSpan.FromMinutes(5),
            EndError = Math.Exp(MeasuredDeviation * Normal()),
            LateFactor = Math.Exp(LateDeviations * MeasuredDeviation),
            // Half of them are tried again and go on from their checkpoint.
            FailsAt = fails ? _random.NextDouble() : null,
            Restarts = failure < 0.15,
        };
    }

    private static TimeSpan Within(TimeSpan runs) => runs < Shortest ? Shortest : runs > Limit ? Limit : runs;

    private T Pick<T>(IReadOnlyList<T> choices, Func<T, double> weight)
    {
        var left = _random.NextDouble() * choices.Sum(weight);
        foreach (var choice in choices)
        {
            left -= weight(choice);
            if (left <= 0)
                return choice;
        }

        return choices[^1];
    }

    private double Normal() =>
        Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    private static QueueKey NameOf(int queue) => new(string.Create(CultureInfo.InvariantCulture, $"vc-{queue:D2}"));

    private static Guid Id(int number, short kind) => new(number, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
