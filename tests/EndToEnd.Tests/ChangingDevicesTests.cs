using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>Devices change hands while jobs train, and what the jobs come to is as if they had not.</summary>
public sealed class ChangingDevicesTests(BusyCluster busy, ITestOutputHelper output) : IClassFixture<BusyCluster>
{
    // What a different order of adding up makes of float64's 1e-16, with room for the steps that it has to grow in.
    private const double Rounding = 1e-9;

    // So many steps that the series show what a number of devices makes of them.
    private const int SomeSteps = 20;

    // Far longer than the grace period, within which it would be waited for.
    private const int Epochs = 100;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private LocalCluster Cluster => busy.Cluster;

    /// <summary>
    /// On four devices: three that others have, of which two come free, and are taken again. None of the jobs ever ends by itself, whatever
    /// the machine's speed: the one that is not disturbed is let come to where the other was.
    /// </summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task ElasticJob_OnOneDevice_ThenTwo_ThenOne_TrainsAsOneThatHasOneAllTheTime()
    {
        using var client = new PatientClient(Cluster, Cluster.GrpcAddress);
        var fillers = new List<string>();
        for (var i = 0; i < 3; i++)
            fillers.Add(await client.SubmitAsync(EndlessYaml($"filler-{i}", "1"), Cancelled));
        foreach (var filler in fillers)
            await client.UntilAsync(filler, job => job.State == JobState.Running, Cancelled);
        var elastic = await client.SubmitAsync(EndlessYaml("elastic", "{ min: 1, max: 2 }"), Cancelled);
        await TrainsOnAsync(client, elastic, devices: 1);

        await CancelAsync(client, fillers[0]);
        var wide = await TrainsOnAsync(client, elastic, devices: 2);
        var alone = await client.SubmitAsync(EndlessYaml("alone", "1", priority: 5), Cancelled);
        var narrow = await TrainsOnAsync(client, elastic, devices: 1);
        var described = (await Cluster.RunAsync(["job", "describe", elastic], Cancelled)).MustSucceed().Output;
        var last = (await CancelAsync(client, elastic)).Progress.Step;
        foreach (var filler in fillers.Skip(1))
            await CancelAsync(client, filler);
        await client.UntilAsync(alone, job => job.Progress?.Step >= last, Cancelled);
        await CancelAsync(client, alone);

        (wide.LastResize.FromDevices, wide.LastResize.ToDevices, wide.LastResize.ForJobId).ShouldBe((1, 2, ""));
        (narrow.LastResize.FromDevices, narrow.LastResize.ToDevices, narrow.LastResize.ForJobId).ShouldBe((2, 1, alone));
        (narrow.Attempt, narrow.Restarts, narrow.Preemptions).ShouldBe((3, 0, 0));
        (await Cluster.EventsAsync(elastic, Cancelled)).Select(happened => happened.Reason)
            .ShouldContain("grows from 1 device to 2, since others are idle and nobody waits for them");
        described.ShouldContain("1 of 1 to 2; last changed ");
        var expected = (await Cluster.SeriesAsync(alone, MetricNames.TrainLoss, Cancelled)).ToDictionary(at => at.Step, at => at.Value);
        var found = (await Cluster.SeriesAsync(elastic, MetricNames.TrainLoss, Cancelled)).ToDictionary(at => at.Step, at => at.Value);
        found.Keys.Order().ShouldBe(Enumerable.Range(1, (int)last).Select(step => (long)step), "no step is left out, none comes twice");
        var apart = found.Max(at => Math.Abs(at.Value - expected[at.Key]) / expected[at.Key]);
        output.WriteLine($"losses of {last} steps are apart by {apart:E1} at most");
        apart.ShouldBeLessThan(Rounding);
    }

    /// <summary>Two jobs alike have all four devices; one of them is stopped for the owed quota, the other one is not disturbed.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task OwedQuota_IsReclaimed_AndTheVictimEndsWithTheBitsOfAnUndisturbedRun()
    {
        using var client = new PatientClient(Cluster, Cluster.GrpcAddress);
        foreach (var queue in new[] { "research", "product" })
            (await Cluster.RunAsync(["queue", "create", queue, "--quota", "cpu=2"], Cancelled)).MustSucceed();
        var borrowers = new List<string>();
        foreach (var name in new[] { "one", "other" })
            borrowers.Add(await client.SubmitAsync(DisturbedJob.Yaml(name, Epochs, devices: 2) + "\nqueue: research", Cancelled));
        foreach (var borrower in borrowers)
            await client.UntilAsync(borrower, job => job.Progress?.Step > 0, Cancelled);

        var owed = await client.SubmitAsync(DisturbedJob.Yaml("owed", epochs: 2, devices: 2) + "\nqueue: product", Cancelled);
        var took = await client.SucceededAsync(owed, Cancelled);
        var ended = new List<Job>();
        foreach (var borrower in borrowers)
            ended.Add(await client.SucceededAsync(borrower, Cancelled));

        var (done, other) = (ended.Single(job => job.Preemptions > 0), ended.Single(job => job.Preemptions == 0).Id);
        var victim = done.Id;
        (done.Attempt, done.Restarts, done.Preemptions, done.LastPreemption.ForJobId).ShouldBe((2, 0, 1, owed));
        var events = await Cluster.EventsAsync(victim, Cancelled);
        output.WriteLine(events.Single(happened => happened is { Attempt: 2, ToState: JobState.Starting }).Reason);
        Tell("decided", events.Single(happened => happened.ToState == JobState.Stopping));
        Tell("released", events.Single(happened => happened is { Attempt: 1, ToState: JobState.Queued }));
        var undisturbed = await RunBits.OfAsync(client, other, Cancelled);
        (await RunBits.OfAsync(client, victim, Cancelled)).ShouldBe(undisturbed, "a preemption leaves the bits");

        void Tell(string what, JobEvent happened) =>
            output.WriteLine($"{what} {(happened.Time - took.CreatedAt).ToTimeSpan().TotalSeconds:F2} s after the quota was asked for");
    }

    /// <summary>The job, once it has made some steps on so many devices.</summary>
    private static async Task<Job> TrainsOnAsync(PatientClient client, string id, int devices)
    {
        var begun = await client.UntilAsync(
            id, job => job.State == JobState.Running && job.Placement.Count == devices && job.Progress is not null, Cancelled);
        return await client.UntilAsync(
            id, job => job.Attempt == begun.Attempt && job.Progress.Step >= begun.Progress.Step + SomeSteps, Cancelled);
    }

    private async Task<Job> CancelAsync(PatientClient client, string job)
    {
        await Cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = job }, cancellationToken: Cancelled);
        return await client.UntilAsync(job, now => now.State == JobState.Cancelled, Cancelled);
    }

    /// <summary>So that it is always far from its end, whatever the machine's speed.</summary>
    private static string EndlessYaml(string name, string devices, int priority = 0) =>
        $$"""
        name: {{name}}
        priority: {{priority}}
        model: {name: lenet5}
        data: {name: fashion-mnist, trainSamples: 2048, validationSamples: 256}
        hyperparameters:
          epochs: 100000
          globalBatchSize: 64
          optimizer: {name: sgd, learningRate: 0.001, momentum: 0}
          precision: float64
          memoryFormat: {{MemoryFormats.Contiguous}}
        resources: {devices: {{devices}}}
        parallelism: data
        checkpoints: {everyEpochs: 20}
        restarts: {maxRestarts: 0}
        seed: 7
        """;
}

/// <summary>One of four devices whose scheduler changes those of jobs as soon as it may.</summary>
public sealed class BusyCluster : IAsyncLifetime
{
    public LocalCluster Cluster { get; } = new()
    {
        Devices = 2,
        BeforeStart = cluster =>
        {
            cluster.Configure(
                LocalCluster.Scheduler(1), "Placement__BetweenResizes=00:00:01",
                // Who ends within it is waited for, and these jobs are short.
                "Placement__PreemptionGrace=00:00:03");
            return Task.CompletedTask;
        },
    };

    public ValueTask InitializeAsync() => Cluster.InitializeAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
