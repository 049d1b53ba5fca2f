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
        var command = new Command(
            "placement", "admissions a second and the time of a cycle, against Kueue's published figures; a trace under several rules")
        {
            rounds, jobs, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction(arguments => Run(arguments.GetValue(rounds), arguments.GetValue(jobs), RatioReport.For(arguments, "Placement")));
        return command;
    }

    private static void Run(int rounds, int jobs, RatioReport report)
    {
        BenchEnvironment.Print(report);
        report.Note("ours: Apply and Decide alone, one thread, a cycle after every change of the virtual clock; no store, no network");
        report.Note("Kueue 0.19: its published figures, of its whole controller with a Kubernetes API server, on its own CI machines");
        foreach (var workload in KueueWorkload.Published)
        {
            var run = Simulation.Run(workload);
            report.Note(
                $"{workload.Name}: {run.Admitted} jobs in {run.Seconds:F2} s of deciding and {run.Virtual.TotalSeconds:F0} s of virtual "
                + $"time, {run.Cycles} cycles");
            report.Add(RatioRow.MoreIsBetter(
                $"{workload.Name} vs Kueue as published", run.Admitted / run.Seconds, workload.PublishedRate, "jobs/s"));
        }

        report.Note(
            $"a cycle: {Nodes} nodes of {GpusPerNode} GPUs, nearly full; in each cycle 8 jobs come and one ends, and who starts and why "
            + $"the others wait is decided; median of {rounds}, against the {AimMilliseconds:F0} ms that we allow it");
        foreach (var waiting in new[] { 1_000, 10_000, 100_000 })
        {
            var busy = new BusyCluster(Nodes, GpusPerNode, waiting);
            var median = busy.MedianCycle(rounds).TotalMilliseconds;
            report.Note($"with {waiting} jobs waiting {busy.Started} started in these cycles");
            report.Add(RatioRow.LessIsBetter($"cycle with {waiting} jobs waiting vs the aim", median, AimMilliseconds, "ms"));
        }

        TraceComparison.Run(jobs, report);
        report.Finish();
    }
}
