using Cluster.Bench.Reporting;
using Cluster.Placement;

namespace Cluster.Bench.Placement;

/// <summary>One trace under several rules, side by side.</summary>
internal static class TraceComparison
{
    private const int Nodes = 250;
    private const int Seed = 1901;

    /// <param name="load">The work that comes, against what the cluster does in the time.</param>
    /// <param name="rules">Only these, without a comparison; none: all.</param>
    public static void Run(int jobs, double load, IReadOnlyCollection<TraceRule> rules, RatioReport report)
    {
        var trace = new Trace(jobs, Nodes, load, Seed);
        report.Note(
            $"a trace shaped like Philly's: {jobs} jobs on {Nodes * Trace.GpusPerNode} GPUs, {load:F1} of what they do, over "
            + $"{(trace.Jobs[^1].At - trace.Jobs[0].At).TotalDays:F1} days, {trace.Queues.Count} queues; waits in minutes; "
            + "work lost in device-hours, with the time that restarts take");
        var results = new Dictionary<TraceRule, TraceResult>();
        var beyond = trace.Beyond();
        foreach (var rule in rules.Count > 0 ? rules : TraceRule.All)
        {
            var result = results[rule] = TraceResult.Play(trace, rule, forecasts: rule.HasForecasts);
            report.Note(
                $"{rule.Name}: utilisation {result.Utilisation:P1}; mean wait {result.MeanWait.TotalMinutes:F1}; median and p90 of 1 GPU "
                + $"{Waits(result, 1, 1)}, 2 to 8 {Waits(result, 2, 8)}, 16 and more {Waits(result, 16, 64)}; Jain {result.Jain():F3}; "
                + $"{result.LostDeviceHours:F0} lost in {result.Yields} preemptions and in failures; {result.StartsPerSecond:F0} starts/s");
            report.Note(
                $"{rule.Name}: median and p90 of 16 and more in the {beyond.Count} queues whose demand is beyond their quota "
                + $"{Waits(result, 16, 64, beyond.Contains)}, in the others {Waits(result, 16, 64, queue => !beyond.Contains(queue))}; "
                + $"of 1 GPU {Waits(result, 1, 1, beyond.Contains)} and {Waits(result, 1, 1, queue => !beyond.Contains(queue))}");
            if (rule.HasForecasts)
                NoteForecasts(result, report);
        }

        if (rules.Count > 0)
            return;
        var (ours, newest, easy) = (results[TraceRule.Ours], results[TraceRule.NewestFirst], results[TraceRule.Easy]);
        report.Add(RatioRow.LessIsBetter("work lost vs preemption newest first", ours.LostDeviceHours, newest.LostDeviceHours, "device-h"));
        report.Add(RatioRow.LessIsBetter(
            "mean wait vs preemption newest first", ours.MeanWait.TotalMinutes, newest.MeanWait.TotalMinutes, "min"));
        report.Add(RatioRow.LessIsBetter(
            "p90 wait of gangs of 16 and more vs EASY", ours.WaitAt(0.9, 16, 64).TotalMinutes,
            easy.WaitAt(0.9, 16, 64).TotalMinutes, "min"));
    }

    private static void NoteForecasts(TraceResult result, RatioReport report)
    {
        report.Note($"expected starts, one job in {TraceForecasts.Every} asked once, when it is submitted: {result.Forecasts.AtSubmit}");
        report.Note($"of these, those that did not start at once: {result.Forecasts.OfThoseThatWaited}");
        report.Note($"all that wait, each half hour: {result.Forecasts.WhileWaiting}");
        foreach (var (quarter, accuracy) in result.Forecasts.ByQuarter.Index())
            report.Note($"of these, in quarter {quarter + 1} of the wait: {accuracy}");
        report.Note($"of these, the last of each job: {result.Forecasts.TheLast}");
        report.Note($"all that wait when the last has come, told that no more come: {result.Forecasts.AtTheLast}");
        report.Note($"a forecast takes {result.Forecasts.Mean.TotalMilliseconds:F0} ms in the mean");
    }

    private static string Waits(TraceResult result, int fewest, int most) => Waits(result, fewest, most, _ => true);

    private static string Waits(TraceResult result, int fewest, int most, Func<QueueKey, bool> of) =>
        $"{result.WaitAt(0.5, fewest, most, of).TotalMinutes:F1} and {result.WaitAt(0.9, fewest, most, of).TotalMinutes:F1}";
}
