using Cluster.Placement.Queues;

namespace Cluster.Placement.Running;

/// <summary>Jobs that hold devices: by what would be lost of them, and by when their devices are expected to be free.</summary>
internal sealed class RunningIndex
{
    private static readonly SortedSet<RunningJob> None = [];

    private readonly Dictionary<JobKey, RunningJob> _jobs = [];
    private readonly Dictionary<QueueNode, SortedSet<RunningJob>> _byLoss = [];
    private readonly Dictionary<QueueNode, SortedDictionary<int, int>> _priorities = [];
    private readonly SortedSet<RunningJob> _byEnd = new(ByEnd.Instance);
    private readonly SortedSet<RunningJob> _elastic = new(ById.Instance);

    /// <summary>Those of which it is known when devices of theirs are free, the first first.</summary>
    public IReadOnlyCollection<RunningJob> Releases => _byEnd;

    /// <summary>Those that could use more devices than they have.</summary>
    public IReadOnlyCollection<RunningJob> Growable => _elastic;

    public IReadOnlyCollection<RunningJob> Jobs => _jobs.Values;

    public RunningJob? Find(JobKey id) => _jobs.GetValueOrDefault(id);

    /// <summary>Those of a queue of which something is known, the one that loses least for each of its devices first.</summary>
    public IReadOnlyCollection<RunningJob> LeastLossFirst(QueueNode queue) => _byLoss.GetValueOrDefault(queue) ?? None;

    /// <summary>Whether a job of the queue runs that has a lower priority.</summary>
    public bool RunsBelow(QueueNode queue, int priority) =>
        _priorities.TryGetValue(queue, out var those) && those.Count > 0 && those.First().Key < priority;

    public void Put(RunningJob job)
    {
        Remove(job.Id);
        _jobs.Add(job.Id, job);
        job.Queue.Charge(job.Owner, job.Kind, job.Devices.Length);
        job.Queue.Leave(job.Kind, job.Leaving.Length);
        if (job.FreeAt is not null)
            _byEnd.Add(job);
        if (job.Facts is null)
            return;
        if (!_byLoss.TryGetValue(job.Queue, out var same))
            _byLoss.Add(job.Queue, same = new SortedSet<RunningJob>(ByLoss.Instance));
        same.Add(job);
        if (!_priorities.TryGetValue(job.Queue, out var priorities))
            _priorities.Add(job.Queue, priorities = []);
        priorities[job.Facts.Priority] = priorities.GetValueOrDefault(job.Facts.Priority) + 1;
        if (job.Facts.Need is { } need && job.Devices.Length < need.Devices)
            _elastic.Add(job);
    }

    public void Remove(JobKey id)
    {
        if (!_jobs.Remove(id, out var job))
            return;
        job.Queue.Charge(job.Owner, job.Kind, -job.Devices.Length);
        job.Queue.Leave(job.Kind, -job.Leaving.Length);
        _byEnd.Remove(job);
        _elastic.Remove(job);
        if (job.Facts is null)
            return;
        _byLoss[job.Queue].Remove(job);
        if (--_priorities[job.Queue][job.Facts.Priority] == 0)
            _priorities[job.Queue].Remove(job.Facts.Priority);
    }

    /// <summary>Forgets all, without a word to the queues.</summary>
    public void Clear()
    {
        _jobs.Clear();
        _byLoss.Clear();
        _priorities.Clear();
        _byEnd.Clear();
        _elastic.Clear();
    }

    public string Describe() => string.Join('\n', _jobs.Values.Order(ById.Instance).Select(
        job => $"{job.Id} in {job.Queue.Key} holds {string.Join(' ', job.Devices)} {job.FreeAt:O} {job.Facts?.Describe()}"));

    private sealed class ById : IComparer<RunningJob>
    {
        public static ById Instance { get; } = new();

        public int Compare(RunningJob? x, RunningJob? y) => x!.Id.Value.CompareTo(y!.Id.Value);
    }

    private sealed class ByEnd : IComparer<RunningJob>
    {
        public static ByEnd Instance { get; } = new();

        public int Compare(RunningJob? x, RunningJob? y)
        {
            var byEnd = Nullable.Compare(x!.FreeAt, y!.FreeAt);
            return byEnd != 0 ? byEnd : ById.Instance.Compare(x, y);
        }
    }

    /// <summary>What is lost grows alike for all: so the order stays as time goes by.</summary>
    private sealed class ByLoss : IComparer<RunningJob>
    {
        public static ByLoss Instance { get; } = new();

        public int Compare(RunningJob? x, RunningJob? y)
        {
            var byLoss = y!.Facts!.LostSince.CompareTo(x!.Facts!.LostSince);
            return byLoss != 0 ? byLoss : ById.Instance.Compare(x, y);
        }
    }
}
