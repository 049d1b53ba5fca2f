using System.CommandLine;
using System.Diagnostics;
using Cluster.Bench.Measuring;
using Cluster.Bench.Reporting;
using Cluster.Bench.Scheduling;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Runs;
using Grpc.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Cluster.Bench.Runs;

/// <summary><c>bench runs</c>: how long people wait for a search over many runs, and for a curve among millions of points.</summary>
internal static class RunsVerb
{
    private const double Milli = 1e3;
    private const int WarmUp = 20;

    // As published of MLflow's tracking store at as many runs and points: the 95th percentiles.
    private const double PeerSearch = 162;
    private const double PeerHistory = 9.6;

    /// <summary>Of a curve, as a page asks for it.</summary>
    private const int CurvePoints = 1000;

    private static readonly (string What, string Where, string Sort)[] Searches =
    [
        ("newest 100", "", ""),
        ("a network above a rate, by accuracy", "lr > 0.01 and model = 'net-3'", "accuracy"),
        ("all, by accuracy", "", "accuracy"),
        ("a range of accuracies, by rate", "accuracy > 0.4 and accuracy < 0.5 and epochs >= 10", "lr asc"),
    ];

    public static Command Build()
    {
        var runs = new Option<int>("--runs") { Description = "that are stored", DefaultValueFactory = _ => 20_000 };
        var calls = new Option<int>("--calls") { Description = "of each kind that are measured", DefaultValueFactory = _ => 200 };
        var command = new Command(
            "runs", "a search over runs and a curve's history, through the service and in the store alone; about 5 minutes")
        {
            runs, calls, RatioReport.MarkdownOption, RatioReport.JsonOption,
        };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            arguments.GetValue(runs), arguments.GetValue(calls), RatioReport.For(arguments, "Runs"), cancellationToken));
        return command;
    }

    private static async Task RunAsync(int runs, int calls, RatioReport report, CancellationToken cancellationToken)
    {
        BenchEnvironment.Print(report, peers: false);
        await using var ours = await LocalCluster.StartAsync(cancellationToken);
        report.Note(
            $"{runs} runs of {StoredRuns.PointsOfARun} points in {StoredRuns.Series.Length} series, "
            + $"{runs * StoredRuns.PointsOfARun / 1e6:0.#} million in all; {await ours.StoreAsync(cancellationToken)}, else its defaults");
        report.Note(
            $"95th percentiles of {calls} calls, one after another; a search gives 100 runs, a history the "
            + $"{StoredRuns.StepsOfASeries} points of one series of a run taken at random. In the store alone: the scheduler's own "
            + "queries, without gRPC");
        report.Note(
            $"peer: what is published of MLflow at 20,000 runs and 8 million points, {PeerSearch} and {PeerHistory} ms, on another "
            + "machine; which search that was, and how long a history, is not known here");
        var job = (await ours.SubmitAsync(1, 1, cancellationToken)).Single();
        report.Say("storing the runs …");
        await ours.SqlAsync(StoredRuns.Insert(job, runs), cancellationToken);
        await ours.SqlAsync(StoredRuns.Settle, cancellationToken);
        var ids = (await ours.SqlAsync(StoredRuns.Ids(runs), cancellationToken))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Guid.Parse).ToArray();

        await using var store = Store(await ours.ConnectionStringAsync(cancellationToken));
        var (queries, curves) = (store.GetRequiredService<RunQueries>(), store.GetRequiredService<CurveStore>());
        foreach (var (what, where, sort) in Searches)
        {
            await AddAsync($"search, service: {what}", PeerSearch, () => ours.Runs.ListRunsAsync(
                new ListRunsRequest { Where = where, Sort = sort }, ours.Options(cancellationToken)).ResponseAsync);
            await AddAsync($"search, store: {what}", PeerSearch, () => queries.ListAsync(
                new RunSearch(where, sort, PageSize: 100, PageToken: ""), cancellationToken));
        }

        await AddAsync("history, service", PeerHistory, () => HistoryAsync(ours, Any(ids), cancellationToken));
        await AddAsync("history, store", PeerHistory, () => curves.ReadAsync(
            new JobId(Any(ids)), [StoredRuns.Series[0]], CurvePoints, cancellationToken));
        report.Finish();

        async Task AddAsync(string what, double peer, Func<Task> call) =>
            report.Add(RatioRow.LessIsBetter($"{what}, p95, vs MLflow as published", await MeasureAsync(call, calls) * Milli, peer, "ms"));
    }

    private static Guid Any(Guid[] ids) => ids[Random.Shared.Next(ids.Length)];

    private static async Task HistoryAsync(LocalCluster cluster, Guid run, CancellationToken cancellationToken)
    {
        var request = new StreamMetricsRequest { JobId = $"{run}", Names = { StoredRuns.Series[0] }, MaxPoints = CurvePoints };
        using var call = cluster.Runs.StreamMetrics(request, cluster.Options(cancellationToken));
        var points = 0;
        await foreach (var batch in call.ResponseStream.ReadAllAsync(cancellationToken))
            points += batch.Points.Count;
        if (points != StoredRuns.StepsOfASeries)
            throw new InvalidOperationException($"run {run} has {points} points, not {StoredRuns.StepsOfASeries}");
    }

    /// <returns>The 95th percentile, in seconds.</returns>
    private static async Task<double> MeasureAsync(Func<Task> call, int calls)
    {
        for (var i = 0; i < WarmUp; i++)
            await call();
        var seconds = new List<double>(calls);
        for (var i = 0; i < calls; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await call();
            seconds.Add(Stopwatch.GetElapsedTime(began).TotalSeconds);
        }

        return Percentile.Of(seconds, 0.95);
    }

    private static ServiceProvider Store(string connectionString)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new($"{PersistenceOptions.SectionName}:ConnectionString", connectionString)]).Build();
        var services = new ServiceCollection();
        services.AddSingleton(TimeProvider.System);
        services.AddLogging();
        services.AddPersistence(configuration);
        services.AddRuns();
        return services.BuildServiceProvider();
    }
}
