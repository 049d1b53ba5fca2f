using System.Diagnostics;
using System.Globalization;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>
/// Rounds of jobs on a cluster of three schedulers and two workers, while parts of it that a seed draws are killed, paused and stopped.
/// </summary>
/// <remarks>
/// CLUSTER_CHAOS_SEED is the first round's seed, each further round's is one more; CLUSTER_CHAOS_ROUNDS is how many there are. A round that
/// fails names its seed.
/// </remarks>
public sealed class ChaosTests
{
    private const int DefaultRounds = 100;
    private const int MostStrikes = 4;
    private const int GangEpochs = 16;
    private const int SingleEpochs = 16;

    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestRound = TimeSpan.FromMinutes(5);

    // Of one round: a gang over both nodes, and two that share them.
    private static readonly (string Name, int Epochs, int Devices)[] Jobs =
        [("gang", GangEpochs, 2), ("single-a", SingleEpochs, 1), ("single-b", SingleEpochs, 1)];

    private static readonly int StepsARound = Jobs.Sum(job => job.Epochs * DisturbedJob.StepsAnEpoch);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("Round", "full")]
    public async Task Rounds_OfRandomKills_LoseNothingAcknowledged_AndEndWithTheBitsOfUndisturbedRuns()
    {
        var seed = Setting("CLUSTER_CHAOS_SEED") ?? Random.Shared.Next(1_000_000);
        var rounds = Setting("CLUSTER_CHAOS_ROUNDS") ?? DefaultRounds;
        await using var cluster = new LocalCluster { Schedulers = 3, Lease = Lease, BeforeStart = MarkAsync };
        await cluster.InitializeAsync();
        using var client = new PatientClient(cluster, cluster.Addresses);
        await using var watch = new DeviceWatch();
        // The first one also pays for what is asked and loaded once.
        await RunAsync(client, "warm", Cancelled);
        var began = Stopwatch.GetTimestamp();
        var undisturbed = await BitsAsync(client, await RunAsync(client, "undisturbed", Cancelled), Cancelled);
        var stepsASecond = StepsARound / Stopwatch.GetElapsedTime(began).TotalSeconds;

        Say($"{StepsARound} steps a round at {stepsASecond:F0} a second undisturbed");

        var (disturbedSeconds, strikes) = (0.0, 0);
        for (var round = 0; round < rounds; round++)
        {
            began = Stopwatch.GetTimestamp();
            var history = await RoundAsync(cluster, client, watch, seed + round, undisturbed);
            disturbedSeconds += Stopwatch.GetElapsedTime(began).TotalSeconds;
            strikes += history.Count;
            Say($"round {round + 1} of {rounds}, seed {seed + round}, "
                + $"{Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s: {string.Join("; ", history)}");
        }

        var kept = rounds * StepsARound / disturbedSeconds / stepsASecond;
        Say($"{strikes} faults in {disturbedSeconds / 60:F1} min; kept {kept:P1} of {stepsASecond:F0} steps a second");
    }

    private static Task MarkAsync(LocalCluster cluster)
    {
        DeviceWatch.Mark(cluster);
        return Task.CompletedTask;
    }

    private static async Task<IReadOnlyList<string>> RoundAsync(
        LocalCluster cluster, PatientClient client, DeviceWatch watch, int seed, IReadOnlyList<RunBits> undisturbed)
    {
        var history = new List<string>();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        end.CancelAfter(LongestRound);
        try
        {
            var random = new Random(seed);
            var epochs = await Invariants.EpochsAsync(cluster, end.Token);
            var running = RunAsync(client, $"chaos-{seed}", end.Token);
            var struck = new HashSet<string>();
            while (!running.IsCompleted && history.Count < MostStrikes)
            {
                await Task.WhenAny(running, Task.Delay(TimeSpan.FromSeconds(random.NextDouble() * 3), end.Token));
                var strikes = Enumerable.Range(0, 1 + random.Next(2)).Select(_ => Strike.Draw(random, cluster, Lease))
                    .DistinctBy(strike => strike.Victim).ToList();
                history.AddRange(strikes.Select(strike => strike.ToString()));
                struck.UnionWith(strikes.Select(strike => strike.Victim));
                await Task.WhenAll(strikes.Select(strike => strike.RunAsync(cluster, random, end.Token)));
                await cluster.UpAsync(end.Token);
            }

            var circumstances = $"seed {seed}";
            var jobs = await running;
            await Invariants.HoldAsync(cluster, circumstances, end.Token);
            await Invariants.KnowsAsync(cluster, jobs, $"chaos-{seed}-", end.Token);
            watch.Collisions.ShouldBeEmpty(circumstances);
            foreach (var (bits, expected) in (await BitsAsync(client, jobs, end.Token)).Zip(undisturbed))
                bits.ShouldBe(expected, circumstances);
            (await Invariants.EpochsAsync(cluster, end.Token)).Where(Lived)
                .ShouldBe(epochs.Where(Lived), $"no node that lived was lost; {circumstances}");
            return history;

            bool Lived(string epoch) => !struck.Contains(epoch.Split('|')[0]);
        }
        catch (Exception e)
        {
            var logs = Path.Combine(Shell.Root, "artifacts", $"chaos-{seed}");
            await Shell.RunAsync("cp", ["-rT", Path.Combine(cluster.State, "logs"), logs], new Dictionary<string, string>(), default);
            throw new InvalidOperationException(
                $"CLUSTER_CHAOS_SEED={seed} CLUSTER_CHAOS_ROUNDS=1 repeats it; the logs are in {logs}; "
                    + $"{string.Join("; ", history)}: {e.Message}",
                e);
        }
    }

    /// <summary>Submits a round's jobs and sees them to their ends.</summary>
    private static async Task<IReadOnlyList<string>> RunAsync(PatientClient client, string name, CancellationToken cancellationToken)
    {
        var ids = new List<string>();
        foreach (var job in Jobs)
            ids.Add(await client.SubmitAsync(DisturbedJob.Yaml($"{name}-{job.Name}", job.Epochs, job.Devices), cancellationToken));
        foreach (var id in ids)
            await client.SucceededAsync(id, cancellationToken);
        return ids;
    }

    private static async Task<IReadOnlyList<RunBits>> BitsAsync(
        PatientClient client, IReadOnlyList<string> jobs, CancellationToken cancellationToken)
    {
        var bits = new List<RunBits>();
        foreach (var job in jobs)
            bits.Add(await RunBits.OfAsync(client, job, cancellationToken));
        return bits;
    }

    private static int? Setting(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;

    // Not with the test's output, which is told at its end and of failures only.
    private static void Say(string line) => Console.WriteLine($"chaos: {line}");
}
