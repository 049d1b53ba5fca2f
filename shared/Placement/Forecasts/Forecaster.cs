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

        var jobs = new List<(Wait Wait, Estimate Start, double[] Starts)>();
        var waits = input.Lines.SelectMany(line => line.Jobs).ToList();
        foreach (var wait in waits)
        {
            var starts = ways.Select(way => way.GetValueOrDefault(wait.Job, double.PositiveInfinity)).Order().ToArray();
            if (input.Promised.TryGetValue(wait.Job, out var promised))
                jobs.Add((wait, new Estimate(promised, promised), []));
            else if (StartOf(input, starts) is { } start)
                jobs.Add((wait, start, starts));
        }

        var ordered = jobs.OrderBy(job => job.Start.Likely).ThenBy(job => job.Start.Late).ThenBy(job => job.Wait.Job.Value)
            .Select((job, i) => new JobForecast(
                job.Wait.Job, i + 1, job.Start,
                i < Explained && !input.Promised.ContainsKey(job.Wait.Job) ? Sooner(input, job.Wait, now) : [])
            {
                At = now,
                Ways = [.. job.Starts.Select(start => double.IsFinite(start) ? now.AddSeconds(start) : DateTimeOffset.MaxValue)],
            });
        return new Forecast([.. ordered], waits.Count - jobs.Count);
    }

    /// <param name="starts">In each way, in seconds from now, in order.</param>
    /// <returns>Null: it is not settled.</returns>
    private static Estimate? StartOf(ForecastInput input, double[] starts)
    {
        if (!double.IsFinite(starts[Ways / 2]))
            return null;
        var wait = TimeSpan.FromSeconds(starts[Ways / 2]);
        var (half, most) = (At(0.5), At(0.9));
        return double.IsFinite(most) ? new Estimate(input.Now.AddSeconds(half), input.Now.AddSeconds(Math.Max(half, most))) : null;

        // Of as many ways and the one that comes true, this part is no later than this one.
        double At(double claimed) => starts[
            Math.Clamp((int)Math.Round((input.Levels.Of(claimed, wait) * (Ways + 1)) - 1, MidpointRounding.AwayFromZero), 0, Ways - 1)];
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
