using Cluster.Scheduler.Nodes;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>
/// A cluster's leases in virtual time: agents that renew them, schedulers that look at them and judge by <see cref="LeaseRule"/>, a store.
/// Whatever can be away is, by chance. It knows nothing of how the scheduler does any of this.
/// </summary>
internal sealed class LeaseSimulation
{
    private const int StepMilliseconds = 10;

    private static readonly NodeOptions Options = new();
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(StepMilliseconds);

    private readonly Random _chance;
    private readonly List<Scheduler> _schedulers;
    private readonly List<Agent> _agents;
    private readonly Dictionary<string, TimeSpan> _seen = [];
    private TimeSpan _now = TimeSpan.FromHours(1);
    private TimeSpan _storeBackAt;

    public LeaseSimulation(int seed)
    {
        _chance = new Random(seed);
        _schedulers = [.. Enumerable.Range(0, _chance.Next(1, 4)).Select(i => new Scheduler($"s{i}"))];
        _agents = [.. Enumerable.Range(0, 4).Select(_ => new Agent { LeaseEnds = _now + Options.LeaseDuration })];
        foreach (var agent in _agents)
            agent.TriesAt = _now + (_chance.NextDouble() * Options.HeartbeatInterval);
    }

    public IReadOnlyList<Agent> Agents => _agents;

    /// <summary>For so long things go away and come back.</summary>
    public void Disturb(TimeSpan time) => RunFor(time, () =>
    {
        if (_chance.Next(300) == 0)
            Away(_schedulers[_chance.Next(_schedulers.Count)]);
        if (_chance.Next(600) == 0)
            _storeBackAt = _now + Length();
        if (_chance.Next(2000) == 0)
            Restart(_schedulers[_chance.Next(_schedulers.Count)]);
    });

    /// <summary>For so long nothing goes wrong any more.</summary>
    public void Calm(TimeSpan time)
    {
        _storeBackAt = _now;
        _schedulers.ForEach(scheduler => scheduler.BackAt = _now);
        RunFor(time, () => { });
    }

    private void RunFor(TimeSpan time, Action chance)
    {
        for (var end = _now + time; _now < end; _now += Step)
        {
            chance();
            foreach (var agent in _agents.Where(agent => agent is { Lives: true, IsLost: false } && agent.TriesAt <= _now))
                Renew(agent);
            foreach (var scheduler in _schedulers.Where(scheduler => scheduler.BackAt <= _now && scheduler.LooksAt <= _now))
                Look(scheduler);
        }
    }

    private TimeSpan Length() => TimeSpan.FromSeconds(Math.Pow(10, (_chance.NextDouble() * 2.7) - 1));

    private void Away(Scheduler scheduler) => scheduler.BackAt = _now + Length();

    /// <summary>Killed, and started again after a while; what it knew is gone.</summary>
    private void Restart(Scheduler scheduler)
    {
        Away(scheduler);
        (scheduler.LastLook, scheduler.StoreFailed, scheduler.LooksAt) = (null, false, TimeSpan.Zero);
    }

    /// <summary>An answer is there at once or not at all; then the agent tries the next scheduler, a moment later.</summary>
    private void Renew(Agent agent)
    {
        var scheduler = _schedulers[agent.Scheduler % _schedulers.Count];
        if (scheduler.BackAt <= _now && _storeBackAt <= _now)
        {
            agent.LeaseEnds = _now + Options.LeaseDuration;
            (agent.TriesAt, agent.Failures) = (_now + Options.HeartbeatInterval, 0);
            return;
        }

        // One that comes back in time takes the call up then.
        if (_storeBackAt <= _now && scheduler.BackAt < _now + Options.HeartbeatTimeout)
        {
            agent.TriesAt = scheduler.BackAt;
            return;
        }

        scheduler.StoreFailed |= scheduler.BackAt <= _now;
        agent.Scheduler++;
        var pause = Math.Min(0.1 * Math.Pow(2, agent.Failures++), 1);
        agent.TriesAt = _now + Options.HeartbeatTimeout + TimeSpan.FromSeconds(pause);
    }

    private void Look(Scheduler scheduler)
    {
        scheduler.LooksAt = _now + Options.LookInterval;
        if (_storeBackAt > _now)
        {
            scheduler.StoreFailed = true;
            return;
        }

        var others = _seen.Where(seen => seen.Key != scheduler.Address)
            .Select(seen => new SchedulerSighting(seen.Key, _now - seen.Value)).ToList();
        _seen[scheduler.Address] = _now;
        var verdict = LeaseRule.Judge(
            new LookFindings(_now - scheduler.LastLook, scheduler.StoreFailed, _now - scheduler.HereSince, others), Options);
        (scheduler.LastLook, scheduler.StoreFailed) = (_now, false);
        if (verdict.IsInterruption)
            scheduler.HereSince = _now;
        foreach (var agent in _agents)
        {
            if (verdict.Extension != LeaseExtension.None)
                agent.LeaseEnds = _now + Options.LeaseDuration;
            else if (agent.LeaseEnds <= _now)
                agent.IsLost = true;
        }
    }

    public sealed class Agent
    {
        public bool Lives { get; set; } = true;

        public bool IsLost { get; set; }

        public TimeSpan LeaseEnds { get; set; }

        public TimeSpan TriesAt { get; set; }

        public int Scheduler { get; set; }

        public int Failures { get; set; }
    }

    private sealed class Scheduler(string address)
    {
        public string Address => address;

        /// <summary>Later than now: it is stopped.</summary>
        public TimeSpan BackAt { get; set; }

        public TimeSpan LooksAt { get; set; }

        public TimeSpan? LastLook { get; set; }

        public TimeSpan HereSince { get; set; }

        public bool StoreFailed { get; set; }
    }
}
