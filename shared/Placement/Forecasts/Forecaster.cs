using System.Collections.Immutable;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>Plays through several ways in which it might go on, and says when each job starts in half and in nine tenths of them.</summary>
/// <remarks>The ways are drawn from one seed: a state has one forecast.</remarks>
internal static class Forecaster
{
    private const int Seed = 20_190;
    private const int Ways = 20;

    // What would let a job start sooner is looked for among all that run: not for those at the end of a long line.
    private const int Explained = 1_000;

    public static Forecast Run(ForecastInput input)
    {
        var (now, chance) = (input.Now, new Chance(Seed));
        var ways = Enumerable.Range(0, Ways).Select(_ => new ForecastRun(input, chance).Play()).ToList();

        var jobs = new List<(Wait Wait, Estimate Start)>();
        var waits = input.Lines.SelectMany(line => line.Jobs).ToList();
        foreach (var wait in waits)
        {
            var starts = ways.Select(way => way.GetValueOrDefault(wait.Job, double.PositiveInfinity)).Order().ToList();
            // Of as many ways and the one that comes true, nine in ten are no later than this one.
            var (half, most) = (starts[Ways / 2], starts[Ways * 9 / 10]);
            if (input.Promised.TryGetValue(wait.Job, out var promised))
                jobs.Add((wait, new Estimate(promised, promised)));
            else if (double.IsFinite(most))
                jobs.Add((wait, new Estimate(now.AddSeconds(half), now.AddSeconds(most))));
        }

        var ordered = jobs.OrderBy(job => job.Start.Likely).ThenBy(job => job.Start.Late).ThenBy(job => job.Wait.Job.Value)
            .Select((job, i) => new JobForecast(
                job.Wait.Job, i + 1, job.Start,
                i < Explained && !input.Promised.ContainsKey(job.Wait.Job) ? Sooner(input, job.Wait, now) : []));
        return new Forecast([.. ordered], waits.Count - jobs.Count);
    }

    private static ImmutableArray<string> Sooner(ForecastInput input, Wait wait, DateTimeOffset now)
    {
        var devices = wait.Devices;
        var free = wait.Pools.Sum(pool => input.Free[pool]);
        var sooner = ImmutableArray.CreateBuilder<string>();
        if (free > 0 && free < devices)
            sooner.Add($"with {free} {(free == 1 ? "device" : "devices")} instead of {devices}");
        var one = input.Runs.Where(run => run.Left is not null)
            .Where(run => free + run.Pools.Where(each => wait.Pools.Contains(each.Pool)).Sum(each => each.Count) >= devices)
            .MinBy(run => run.Left!.Likely);
        if (free < devices && one is not null)
            sooner.Add($"when job {one.Job} ends, about {WaitReason.Clock(now + one.Left!.Likely)}");
        return sooner.DrainToImmutable();
    }
}
