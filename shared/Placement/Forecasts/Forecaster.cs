using System.Collections.Immutable;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>Plays through several ways in which it might go on, and says when each job starts in half and in nine tenths of them.</summary>
/// <remarks>Jobs that are not submitted yet have no part in it. The ways are drawn from one seed: a state has one forecast.</remarks>
internal static class Forecaster
{
    private const int Seed = 20_190;
    private const int Ways = 20;

    // What would let a job start sooner is looked for among all that run: not for those at the end of a long line.
    private const int Explained = 1_000;

    // The normal distribution's 90th percentile: how far "late" is from "likely".
    private const double LateDeviations = 1.2816;

    public static Forecast Run(CycleInput state, PlacementPlan plan, DateTimeOffset now, PlacementPolicy policy)
    {
        var input = new ForecastInput(state, plan, now, policy);
        var random = new Random(Seed);
        var ways = Enumerable.Range(0, Ways)
            .Select(_ => new ForecastRun(input, (likely, late) => Draw(random, likely, late), policy.ForecastWork).Play()).ToList();

        var jobs = new List<(Wait Wait, Estimate Start)>();
        var waits = input.Lines.SelectMany(line => line.Jobs).ToList();
        foreach (var wait in waits)
        {
            var starts = ways.Select(way => way.GetValueOrDefault(wait.Job.Id, double.PositiveInfinity)).Order().ToList();
            var (half, most) = (starts[Ways / 2], starts[(Ways * 9 / 10) - 1]);
            if (input.Promised.TryGetValue(wait.Job.Id, out var promised))
                jobs.Add((wait, new Estimate(promised, promised)));
            else if (double.IsFinite(most))
                jobs.Add((wait, new Estimate(now.AddSeconds(half), now.AddSeconds(most))));
        }

        var ordered = jobs.OrderBy(job => job.Start.Likely).ThenBy(job => job.Start.Late).ThenBy(job => job.Wait.Job.Id.Value)
            .Select((job, i) => new JobForecast(
                job.Wait.Job.Id, i + 1, job.Start,
                i < Explained && !input.Promised.ContainsKey(job.Wait.Job.Id) ? Sooner(input, job.Wait, now) : []));
        return new Forecast([.. ordered], waits.Count - jobs.Count);
    }

    private static ImmutableArray<string> Sooner(ForecastInput input, Wait wait, DateTimeOffset now)
    {
        var devices = wait.Job.Need.Fewest;
        var free = wait.Pools.Sum(pool => input.Free[pool]);
        var sooner = ImmutableArray.CreateBuilder<string>();
        if (free > 0 && free < devices)
            sooner.Add($"with {free} {(free == 1 ? "device" : "devices")} instead of {devices}");
        var one = input.Runs.Where(run => free + run.Pools.Where(each => wait.Pools.Contains(each.Pool)).Sum(each => each.Count) >= devices)
            .MinBy(run => run.Likely);
        if (free < devices && one is not null)
            sooner.Add($"when job {one.Job} ends, about {WaitReason.Clock(now + one.Likely)}");
        return sooner.DrainToImmutable();
    }

    /// <summary>Log-normal: what is expected to take twice as long is off by twice as much.</summary>
    private static double Draw(Random random, TimeSpan likely, TimeSpan late)
    {
        var median = Math.Max(1, likely.TotalSeconds);
        var deviation = Math.Log(Math.Max(1, late.TotalSeconds / median)) / LateDeviations;
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return median * Math.Exp(normal * deviation);
    }
}
