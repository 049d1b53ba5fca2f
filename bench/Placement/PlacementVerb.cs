using System.CommandLine;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Placement;

/// <summary>
/// <c>bench placement</c>: the scheduler's own Apply and Decide under a virtual clock, against what Kueue publishes of its scheduler.
/// </summary>
internal static class PlacementVerb
{
    private const int Nodes = 10_000;
    private const int GpusPerNode = 8;
    private const double AimMilliseconds = 100;

    public static Command Build()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "cycles of each size; medians are printed",
            DefaultValueFactory = _ => 101,
        };
        var jobs = new Option<int>("--jobs")
        {
            Description = "jobs of the trace",
            DefaultValueFactory = _ => 12_000,
        };
        var load = new Option<double>("--load")
        {
            Description = "the trace's work against what its cluster does in the time",
            DefaultValueFactory = _ => 1.2,
        };
        var rules = new Option<string[]>("--rule")
        {
            Description = "only the trace, under this rule; may be given again",
            AllowMultipleArgumentsPerToken = true,
        };
        rules.AcceptOnlyFromAmong([.. TraceRule.All.Select(rule => rule.Name)]);
        var command = new Command(
            "placement", "admissions a second and the time of a cycle, against Kueue's published figures; a trace under several rules")
        {
            rounds, jobs, load, rules, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(arguments =>
        {
            var report = RatioReport.For(arguments, "Placement");
            var only = TraceRule.All.Where(rule => arguments.GetValue(rules)?.Contains(rule.Name) == true).ToList();
            BenchEnvironment.Print(report);
            if (only.Count == 0)
                Run(arguments.GetValue(rounds), report);
            TraceComparison.Run(arguments.GetValue(jobs), arguments.GetValue(load), only, report);
            report.Finish();
        });
        return command;
    }

    private static void Run(int rounds, RatioReport report)
    {
        report.Note("ours: Apply and Decide alone, one thread, a cycle after every change of the virtual clock; no store, no network");
        report.Note("Kueue 0.19: its published figures, of its whole controller with a Kubernetes API server, on its own CI machines");
        foreach (var workload in KueueWorkload.Published)
        {
            var run = Simulation.Run(workload);
            report.Note(
                $"{workload.Name}: {run.Admitted} jobs in {run.Seconds:F2} s of deciding and {run.Virtual.TotalSeconds:F0} s of virtual "
                + $"time, {run.Cycles} cycles, {run.Preemptions} preemptions");
            report.Add(RatioRow.MoreIsBetter(
                $"{workload.Name} vs Kueue as published", run.Admitted / run.Seconds, workload.PublishedRate, "jobs/s"));
        }

        report.Note(
            $"a cycle: {Nodes} nodes of {GpusPerNode} GPUs, nearly full; in each cycle 8 jobs come and one ends, and who starts and why "
            + $"the others wait is decided; median of {rounds}, against the {AimMilliseconds:F0} ms that we allow it");
        report.Note("with quotas: ten of them, from half to one and a half of what a queue uses, reclaimed by preemption all the while");
        foreach (var (waiting, hasQuotas) in new[] { 1_000, 10_000, 100_000 }.SelectMany(n => new[] { (n, false), (n, true) }))
        {
            var busy = new BusyCluster(Nodes, GpusPerNode, waiting, hasQuotas);
            var median = busy.MedianCycle(rounds).TotalMilliseconds;
            var what = $"{waiting} jobs waiting{(hasQuotas ? ", with quotas" : "")}";
            report.Note($"{what}: {busy.Started} started in these cycles, {busy.Preempted} were preempted");
            report.Add(RatioRow.LessIsBetter($"cycle, {what} vs the aim", median, AimMilliseconds, "ms"));
        }
    }
}
