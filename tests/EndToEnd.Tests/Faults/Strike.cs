using System.Globalization;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>What happens to one part of the cluster for a while, as a seed decided.</summary>
/// <param name="Victim">The part: "trainer", "worker-2", "scheduler-3", "postgres".</param>
/// <param name="Kind">What happens to it.</param>
/// <param name="Lasts">Until it goes on, or is started again.</param>
internal sealed record Strike(string Victim, StrikeKind Kind, TimeSpan Lasts)
{
    private const string Postgres = "postgres";
    private const string Trainer = "trainer";

    public static Strike Draw(Random random, LocalCluster cluster, TimeSpan lease)
    {
        var kind = random.Next(2) == 0 ? StrikeKind.Killed : StrikeKind.Paused;
        // Some pauses are shorter than a lease, some longer.
        var lasts = random.NextDouble() * 2 * lease;
        return random.Next(4) switch
        {
            0 => new Strike(Trainer, kind, lasts / 2),
            1 => new Strike($"worker-{1 + random.Next(cluster.Workers)}", kind, lasts),
            2 => new Strike(LocalCluster.Scheduler(1 + random.Next(cluster.Schedulers)), kind, lasts),
            _ => new Strike(Postgres, random.Next(2) == 0 ? StrikeKind.Stopped : kind, lasts / 2),
        };
    }

    /// <summary>Strikes, waits, and has the part go on or start again.</summary>
    public async Task RunAsync(LocalCluster cluster, Random random, CancellationToken cancellationToken)
    {
        if (Kind == StrikeKind.Stopped)
        {
            await cluster.PostgresAsync("stop_postgres", cancellationToken);
            await Task.Delay(Lasts, cancellationToken);
            return;
        }

        var processes = Find(cluster, random);
        // A process may end of itself before it is struck.
        foreach (var process in processes)
            Processes.TrySignal(process, Kind == StrikeKind.Killed ? Processes.Kill : Processes.Stop);
        try
        {
            await Task.Delay(Lasts, cancellationToken);
        }
        finally
        {
            if (Kind == StrikeKind.Paused)
            {
                foreach (var process in processes)
                    Processes.TrySignal(process, Processes.Continue);
            }
        }
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Victim} {Kind.ToString().ToLowerInvariant()} for {Lasts.TotalSeconds:F1} s");

    private IReadOnlyList<int> Find(LocalCluster cluster, Random random)
    {
        switch (Victim)
        {
            case Trainer:
                var trainers = DeviceWatch.TrainersOf(cluster);
                return trainers.Count == 0 ? [] : [trainers[random.Next(trainers.Count)]];
            case Postgres:
                // Its children first: they would end on their own when it has gone, but a paused one must find them paused.
                var server = cluster.PostgresProcess();
                return [.. Processes.ChildrenOf(server), server];
            default:
                return [cluster.ProcessId(Victim)];
        }
    }
}

internal enum StrikeKind
{
    /// <summary>By SIGKILL, and started again where that is nobody else's task.</summary>
    Killed,

    /// <summary>By SIGSTOP, and continued.</summary>
    Paused,

    /// <summary>In order, and started again.</summary>
    Stopped,
}
