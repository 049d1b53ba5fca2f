using System.CommandLine;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;

namespace Cluster.Bench.Scheduling;

/// <summary>
/// <c>bench scheduler</c>: submits and starts beside Debian's Slurm, and whether they take longer with many jobs waiting.
/// </summary>
internal static class SchedulerVerb
{
    private const double Milli = 1e3;

    /// <summary>Submits of each kind before any that count: our first run code that is not compiled yet.</summary>
    private const int WarmUp = 200;

    /// <summary>Postgres counts what a connection has read when it has rested for so long, at the latest.</summary>
    private static readonly TimeSpan CountsAreIn = TimeSpan.FromSeconds(12);

    public static Command Build()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "turns of each contestant; medians are printed",
            DefaultValueFactory = _ => 5,
        };
        var submits = new Option<int>("--submits")
        {
            Description = "jobs submitted in a turn",
            DefaultValueFactory = _ => 200,
        };
        var starts = new Option<int>("--starts")
        {
            Description = "jobs started in a turn, one after another; percentiles are of all turns",
            DefaultValueFactory = _ => 40,
        };
        var waiting = new Option<int>("--waiting")
        {
            Description = "jobs that wait, in hundreds; 0 leaves this part out",
            DefaultValueFactory = _ => 100_000,
        };
        var command = new Command(
            "scheduler", "submits and starts beside Slurm (Debian's slurm-wlm), and with many jobs waiting; about 20 minutes")
        {
            rounds, submits, starts, waiting, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            new Amounts(
                arguments.GetValue(rounds), arguments.GetValue(submits), arguments.GetValue(starts), arguments.GetValue(waiting)),
            RatioReport.For(arguments, "Scheduler"),
            cancellationToken));
        return command;
    }

    private static async Task RunAsync(Amounts amounts, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report, peers: false);
        await using var ours = await LocalCluster.StartAsync(cancellationToken);
        Figures none;
        await using (var slurm = await SlurmCluster.StartAsync(cancellationToken))
        {
            report.Note(
                "ours: a scheduler, two agents of one device and Postgres as processes; a submit is a gRPC call with a job file, and is "
                + $"answered when it is committed ({await ours.StoreAsync(cancellationToken)})");
            report.Note(
                $"peer: {slurm.Version}, munged, slurmctld and slurmd as processes, select/cons_tres, sched/backfill, priority/basic, "
                + $"auth/munge, proctrack/linuxproc, SchedulerParameters={SlurmConfiguration.SchedulerParameters} and else its defaults; a "
                + "submit is an sbatch, which is answered before slurmctld has saved its state");
            report.Note(
                $"medians of {amounts.Rounds} interleaved turns of {amounts.Submits} submits of jobs that have to wait; a start is from "
                + "just before the submit to the first line of the job's process, the same script for both, on a device that is free");
            report.Note(
                "aims: 10 against sbatch one by one, and of submit to start; with many jobs waiting 0.5 of submits and starts, and about "
                + "as many rows read as with none");
            none = await BesideSlurmAsync(ours, slurm, amounts, report, cancellationToken);
        }

        if (amounts.Waiting > 0)
            await WithManyWaitingAsync(ours, none, amounts, report, cancellationToken);
        report.Finish();
    }

    private static async Task<Figures> BesideSlurmAsync(
        LocalCluster ours, SlurmCluster slurm, Amounts amounts, RatioReport report, CancellationToken cancellationToken)
    {
        foreach (var contestant in (IContestant[])[ours, slurm])
        {
            await contestant.SubmitRateAsync(WarmUp, 1, cancellationToken);
            await contestant.SubmitRateAsync(WarmUp, LocalCluster.Clients, cancellationToken);
            await contestant.StartDelayAsync(cancellationToken);
        }

        var rates = await Interleaved.MediansAsync(
            amounts.Rounds,
            [
                () => ours.SubmitRateAsync(amounts.Submits, 1, cancellationToken),
                () => slurm.SubmitRateAsync(amounts.Submits, 1, cancellationToken),
                () => ours.SubmitRateAsync(amounts.Submits, LocalCluster.Clients, cancellationToken),
                () => slurm.SubmitRateAsync(amounts.Submits, LocalCluster.Clients, cancellationToken),
            ]);
        report.Add(RatioRow.MoreIsBetter($"submits one by one vs sbatch one by one, {slurm.Version}", rates[0], rates[1], "jobs/s"));
        report.Add(RatioRow.MoreIsBetter(
            $"submits of {LocalCluster.Clients} clients vs sbatch one by one, {slurm.Version}", rates[2], rates[1], "jobs/s"));
        report.Add(RatioRow.MoreIsBetter(
            $"submits of {LocalCluster.Clients} clients vs {LocalCluster.Clients} sbatch at once, {slurm.Version}",
            rates[2], rates[3], "jobs/s"));

        var (our, their) = (new List<double>(), new List<double>());
        await Interleaved.MediansAsync(
            amounts.Rounds,
            [
                () => StartsAsync(ours, amounts.Starts, our, cancellationToken),
                () => StartsAsync(slurm, amounts.Starts, their, cancellationToken),
            ]);
        foreach (var share in (double[])[0.5, 0.99])
        {
            report.Add(RatioRow.LessIsBetter(
                $"submit to start, p{share * 100:0}, vs {slurm.Version}",
                Percentile.Of(our, share) * Milli, Percentile.Of(their, share) * Milli, "ms"));
        }

        return new Figures(rates[0], rates[2], our);
    }

    /// <summary>
    /// So many starts, each after a pause of up to a second: a scheduler that looks at its queue from time to time is met at any moment
    /// between two looks.
    /// </summary>
    /// <returns>The median; all are added to those that there are.</returns>
    private static async Task<double> StartsAsync(
        IContestant contestant, int starts, List<double> delays, CancellationToken cancellationToken)
    {
        var pauses = new Random(delays.Count);
        var turn = new List<double>();
        for (var start = 0; start < starts; start++)
        {
            await Task.Delay(TimeSpan.FromSeconds(pauses.NextDouble()), cancellationToken);
            turn.Add(await contestant.StartDelayAsync(cancellationToken));
        }

        delays.AddRange(turn);
        return Interleaved.Median(turn);
    }

    private static async Task WithManyWaitingAsync(
        LocalCluster ours, Figures none, Amounts amounts, RatioReport report, CancellationToken cancellationToken)
    {
        var few = await ReadsAsync(ours, amounts, cancellationToken);
        report.Say($"{amounts.Waiting} jobs are submitted that wait for a device …");
        var began = UnixTime.Now();
        await ours.LetWaitAsync(amounts.Waiting, cancellationToken);
        report.Note(
            $"{amounts.Waiting} jobs that wait were submitted by {LocalCluster.Clients} clients in experiments of "
            + $"{JobTexts.JobsOfAnExperiment}, {amounts.Waiting / (UnixTime.Now() - began):0} jobs/s; ours is with them, peer without");
        var starts = new List<double>();
        var rates = await Interleaved.MediansAsync(
            amounts.Rounds,
            [
                () => ours.SubmitRateAsync(amounts.Submits, 1, cancellationToken),
                () => ours.SubmitRateAsync(amounts.Submits, LocalCluster.Clients, cancellationToken),
                () => StartsAsync(ours, amounts.Starts, starts, cancellationToken),
            ]);
        var with = $"with {amounts.Waiting} jobs waiting vs none";
        report.Add(RatioRow.MoreIsBetter($"submits one by one, {with}", rates[0], none.OneByOne, "jobs/s"));
        report.Add(RatioRow.MoreIsBetter($"submits of {LocalCluster.Clients} clients, {with}", rates[1], none.AtOnce, "jobs/s"));
        foreach (var share in (double[])[0.5, 0.99])
        {
            report.Add(RatioRow.LessIsBetter(
                $"submit to start, p{share * 100:0}, {with}",
                Percentile.Of(starts, share) * Milli, Percentile.Of(none.Starts, share) * Milli, "ms"));
        }

        var many = await ReadsAsync(ours, amounts, cancellationToken);
        report.Add(RatioRow.LessIsBetter($"rows read a submit, {with}", many.Submit, few.Submit, "rows"));
        report.Add(RatioRow.LessIsBetter($"rows read a start, {with}", many.Start, few.Start, "rows"));
        report.Add(RatioRow.LessIsBetter($"rows read a second at rest, {with}", many.Rest, few.Rest, "rows/s"));
        foreach (var (when, reads) in (IEnumerable<(string, Reads)>)[("none", few), ($"{amounts.Waiting}", many)])
            report.Note($"most rows, with {when} waiting: {reads.Words}");
    }

    /// <summary>What is read at rest is taken off what is read while jobs are submitted and started.</summary>
    private static async Task<Reads> ReadsAsync(LocalCluster ours, Amounts amounts, CancellationToken cancellationToken)
    {
        var (rest, restSeconds) = await DuringAsync(() => Task.CompletedTask);
        var perSecond = rest.Rows / restSeconds;
        IReadOnlyCollection<string> submitted = [];
        var (submit, submitSeconds) = await DuringAsync(
            async () => submitted = await ours.SubmitAsync(amounts.Submits, 1, cancellationToken));
        await ours.CancelAsync(submitted, cancellationToken);
        var (start, startSeconds) = await DuringAsync(() => StartsAsync(ours, amounts.Starts, [], cancellationToken));
        return new Reads(
            perSecond, Each(submit, submitSeconds, amounts.Submits), Each(start, startSeconds, amounts.Starts),
            $"a second at rest {rest.Words(restSeconds)}; a submit {submit.Words(amounts.Submits)}; a start {start.Words(amounts.Starts)}");

        double Each(StoreReads reads, double seconds, int operations) => Math.Max(0, reads.Rows - (perSecond * seconds)) / operations;

        async Task<(StoreReads Reads, double Seconds)> DuringAsync(Func<Task> work)
        {
            await Task.Delay(CountsAreIn, cancellationToken);
            var (before, began) = (await ours.ReadsAsync(cancellationToken), UnixTime.Now());
            await work();
            await Task.Delay(CountsAreIn, cancellationToken);
            return ((await ours.ReadsAsync(cancellationToken)).Since(before), UnixTime.Now() - began);
        }
    }

    private sealed record Amounts(int Rounds, int Submits, int Starts, int Waiting);

    private sealed record Figures(double OneByOne, double AtOnce, IReadOnlyCollection<double> Starts);

    private sealed record Reads(double Rest, double Submit, double Start, string Words);
}
