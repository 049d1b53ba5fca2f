using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>What jobs of a long line are told of their start, held against what came true.</summary>
public sealed class ExpectedStartsTests(ForecastingCluster forecasting, ITestOutputHelper output) : IClassFixture<ForecastingCluster>
{
    private const int Jobs = 30;

    // How long each kind of job trains, in epochs.
    private static readonly int[] Kinds = [8, 16, 32];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private LocalCluster Cluster => forecasting.Cluster;

    /// <summary>
    /// Each kind has run once before, so that it is known how long it takes, and two jobs have the devices when the others are submitted.
    /// How right the forecasts are is told and not asserted: the machine's other work has a part in that.
    /// </summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task EachJobOfALongLine_IsToldItsStart_AndAccountedFor()
    {
        using var client = new PatientClient(Cluster, Cluster.GrpcAddress);
        (await Cluster.RunAsync(["queue", "create", "measured"], Cancelled)).MustSucceed();
        foreach (var epochs in Kinds)
            await client.SucceededAsync(await client.SubmitAsync(Yaml("known", epochs, "default"), Cancelled), Cancelled);
        foreach (var first in new[] { "first", "second" })
        {
            var holder = await client.SubmitAsync(Yaml(first, Kinds[^1], "default"), Cancelled);
            await client.UntilAsync(holder, job => job.State == JobState.Running, Cancelled);
        }

        var jobs = new List<string>();
        for (var i = 0; i < Jobs; i++)
            jobs.Add(await client.SubmitAsync(Yaml($"job-{i}", Kinds[i % Kinds.Length], "measured"), Cancelled));
        foreach (var job in jobs)
            await client.SucceededAsync(job, Cancelled);

        output.WriteLine("waited in seconds; likely and late start in seconds from the forecast; the error of the likely one");
        var told = await Cluster.QueryAsync(
            """
            select round(extract(epoch from a.created_at - predicted_at)), round(extract(epoch from likely - predicted_at)),
                round(extract(epoch from late - predicted_at)), round(extract(epoch from a.created_at - likely))
            from start_predictions join attempts a using (job_id) where number = 1 and queue = 'measured' order by a.created_at
            """, Cancelled);
        foreach (var each in told)
            output.WriteLine(each.Replace("|", "  ", StringComparison.Ordinal));
        output.WriteLine((await Cluster.RunAsync(["queue", "accuracy", "measured"], Cancelled)).MustSucceed().Output);
        told.Count.ShouldBe(Jobs, "each waited, and was told");
        var accuracy = await PatientClient.AskAsync(
            async options => await client.Queues.GetAccuracyAsync(new GetAccuracyRequest { Queue = "measured" }, options), Cancelled);
        accuracy.Jobs.ShouldBe(Jobs);
    }

    private static string Yaml(string name, int epochs, string queue) => DisturbedJob.Yaml(name, epochs) + $"\nqueue: {queue}";
}

/// <summary>One that reckons each second when jobs start.</summary>
public sealed class ForecastingCluster : IAsyncLifetime
{
    public LocalCluster Cluster { get; } = new()
    {
        BeforeStart = cluster =>
        {
            cluster.Configure(LocalCluster.Scheduler(1), "Placement__ForecastInterval=00:00:01");
            return Task.CompletedTask;
        },
    };

    public ValueTask InitializeAsync() => Cluster.InitializeAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}
