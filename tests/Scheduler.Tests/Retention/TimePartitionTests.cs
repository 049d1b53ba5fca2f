using Cluster.Contracts;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Retention;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;

namespace Cluster.Scheduler.Tests.Retention;

public sealed class TimePartitionTests(PostgresServer postgres)
{
    // A Monday long after any on which the schema is made, which makes partitions of its own time.
    private static readonly DateTimeOffset Start = new(2040, 1, 2, 0, 0, 0, TimeSpan.Zero);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Partitions_AreMadeAhead_AndTakeInWhatCameBeforeThem()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await using var janitor = new TestJanitor(cluster.ConnectionString, Start);
        var job = await RunningAsync(cluster);
        await WriteAsync(cluster, janitor, job, 1);
        (await TestDatabase.CountAsync(cluster, "metrics_default")).ShouldBe(1);

        await janitor.SweepAsync();

        foreach (var table in new[] { "metrics", "logs" })
        {
            (await TestDatabase.CountAsync(cluster, $"{table}_default")).ShouldBe(0);
            (await TestDatabase.CountAsync(cluster, $"{table}_20400102")).ShouldBe(1);
            (await TestDatabase.CountAsync(cluster, $"{table}_20400109")).ShouldBe(0);
        }

        // As long as the scheduler sweeps, each row finds its partition.
        for (var days = 7; days <= 28; days += 7)
        {
            janitor.Time.Advance(TimeSpan.FromDays(7));
            await WriteAsync(cluster, janitor, job, days);
            await janitor.SweepAsync();
        }

        (await TestDatabase.CountAsync(cluster, "metrics_default")).ShouldBe(0);
        (await TestDatabase.CountAsync(cluster, "metrics_20400130")).ShouldBe(1);
        (await StepsAsync(cluster, job)).ShouldBe([1L, 7, 14, 21, 28]);
        (await LinesAsync(cluster, job)).ShouldBe(["line 1", "line 7", "line 14", "line 21", "line 28"]);
        (await TestDatabase.CountAsync(cluster, "time_partitions where ends_at < '2040-01-01'")).ShouldBe(0, "empty, and too old by far");
    }

    [Fact]
    public async Task Partitions_OfAnotherLength_FollowOnThoseThatAreThere()
    {
        var database = await postgres.CreateDatabaseAsync(Token);
        await using (var weekly = new TestJanitor(database, Start))
            await weekly.SweepAsync();

        await using var daily = new TestJanitor(database, Start.AddDays(13), retention => retention.PartitionDays = 1);
        await daily.SweepAsync();

        await using var source = NpgsqlDataSource.Create(database + ";Pooling=false");
        await using var command = source.CreateCommand(
            "select count(*) from time_partitions where parent_table = 'logs' and ends_at > '2040-01-02'");
        // Two of a week, to the 15th, and the day that follows.
        (await command.ExecuteScalarAsync(Token)).ShouldBe(2L + 1);
    }

    [Fact]
    public async Task OldPartitions_AreDropped_TheCurveStays_AndTheLogSaysWhatWent()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await using var janitor = new TestJanitor(cluster.ConnectionString, Start);
        var job = await RunningAsync(cluster);
        await janitor.SweepAsync();
        await WriteAsync(cluster, janitor, job, 1, "NaN");
        await WriteAsync(cluster, janitor, job, 2);
        janitor.Time.Advance(TimeSpan.FromDays(7));
        await janitor.SweepAsync();
        await WriteAsync(cluster, janitor, job, 3);

        // The first partition ends with the 8th of January.
        janitor.Time.Advance(TimeSpan.FromDays(90) - TimeSpan.FromSeconds(1));
        (await janitor.SweepAsync())["metric_partitions"].ShouldBe(0);
        janitor.Time.Advance(TimeSpan.FromSeconds(1));
        var removed = await janitor.SweepAsync();

        (removed["metric_partitions"], removed["log_partitions"]).ShouldBe((1, 1));
        (await TestDatabase.CountAsync(cluster, "metrics")).ShouldBe(1);
        (await cluster.Get<CurveStore>().ReadAsync(job, [], 100, Token)).Series["train/loss"].Points
            .Select(point => (point.X, point.Y)).ShouldBe([(1L, double.NaN), (2L, 2), (3L, 3)]);
        (await StepsAsync(cluster, job)).ShouldBe([1L, 2, 3], "so few are kept as they are");
        (await LinesAsync(cluster, job)).ShouldBe(
            ["lines gone before this one: 2; log lines are kept for 90 days (Retention:Logs)", "line 3"]);
        (await TestDatabase.CountAsync(cluster, $"log_sizes where bytes = {"line 3".Length + LogRetention.LineOverhead}")).ShouldBe(1);
    }

    [Fact]
    public async Task KeptForEver_NothingGoes()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await using var janitor = new TestJanitor(
            cluster.ConnectionString, Start, keep => keep.Metrics = keep.Logs = keep.Events = keep.Jobs = TimeSpan.Zero);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        await node.ExitAsync(job, 1, 0, TrainerExit.Done);
        await janitor.SweepAsync();
        var events = await cluster.StatesAsync(job);
        // As if it had been stored before that end: later ones do not count.
        await WriteAsync(cluster, janitor, job, 1, at: cluster.Time.GetUtcNow());
        janitor.Time.Advance(TimeSpan.FromDays(3650));

        (await janitor.SweepAsync()).ToString().ShouldBe("nothing");

        (await StepsAsync(cluster, job)).ShouldBe([1L]);
        (await LinesAsync(cluster, job)).ShouldBe(["line 1"]);
        (await cluster.StatesAsync(job)).ShouldBe(events);
    }

    [Fact]
    public async Task LongSeries_IsRolledUp_WhileItGrows()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await RunningAsync(cluster);
        await using var janitor = new TestJanitor(cluster.ConnectionString, cluster.Time.GetUtcNow());
        await TestDatabase.ExecuteAsync(cluster, $"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at)
            select '{job}', 1, 0, 'train/loss', step, 1, '{cluster.Time.GetUtcNow():o}', 0.5, '{cluster.Time.GetUtcNow():o}'
            from generate_series(1, {LongSeries.MostNewPoints - 1}) step
            """);
        await janitor.SweepAsync();
        (await TestDatabase.CountAsync(cluster, "metric_rollups")).ShouldBe(0);
        await WriteAsync(cluster, janitor, job, LongSeries.MostNewPoints);

        await janitor.SweepAsync();

        (await TestDatabase.CountAsync(cluster, "metric_rollups r where cursor = (select max(cursor) from metrics)")).ShouldBe(1);
    }

    private static async Task<JobId> RunningAsync(TestCluster cluster)
    {
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        return job;
    }

    /// <summary>A point and a line, as a scheduler stores them at that time.</summary>
    private static Task WriteAsync(
        TestCluster cluster, TestJanitor janitor, JobId job, int number, string? value = null, DateTimeOffset? at = null)
    {
        var now = $"{at ?? janitor.Time.GetUtcNow():o}";
        var line = $"line {number}";
        return TestDatabase.ExecuteAsync(cluster, $"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at)
            values ('{job}', 1, 0, 'train/loss', {number}, 1, '{now}', '{value ?? $"{number}"}', '{now}');
            insert into logs (job_id, time, attempt, rank, stream, text, stored_at)
            values ('{job}', '{now}', 1, 0, 'Stdout', '{line}', '{now}');
            insert into log_sizes as s values ('{job}', {line.Length + LogRetention.LineOverhead})
            on conflict (job_id) do update set bytes = s.bytes + excluded.bytes
            """);
    }

    private static async Task<List<long>> StepsAsync(TestCluster cluster, JobId job) =>
        await cluster.Get<MetricStore>().ReadAsync(job, [], 0, 0, Token).SelectMany(page => page.Points).Select(point => point.Step)
            .ToListAsync(Token);

    private static async Task<IEnumerable<string>> LinesAsync(TestCluster cluster, JobId job) =>
        (await cluster.Get<LogStore>().ReadAsync(job, 0, null, 100, Token)).Select(line => line.Text);
}
