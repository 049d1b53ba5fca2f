using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Cluster.Scheduler.Tests.Logs;

public sealed class LogRetentionTests(PostgresServer postgres)
{
    private const int LineBytes = 1000;

    private static readonly string Text = new('x', LineBytes - LogRetention.LineOverhead);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Log_BeyondItsLimit_LosesItsOldestLines_AndSaysSoWhereTheyWere()
    {
        await using var cluster = await TestCluster.StartAsync(postgres, KeepLittle);
        var (node, job) = await RunningAsync(cluster);

        // 1,048 lines fit; 252 and a sixteenth of the limit go.
        await AppendAsync(cluster, node, job, 1, 1300);

        var lines = await ReadAsync(cluster, job);
        lines[0].ShouldSatisfyAllConditions(
            notice => notice.Text.ShouldBe("lines gone before this one: 317; a job keeps 1048576 bytes of log (Logs:MaxBytesPerJob)"),
            notice => notice.Stream.ShouldBe(LogStream.Agent));
        lines.Select(line => line.Sequence).ShouldBeInOrder(SortDirection.Ascending);
        lines.Count.ShouldBe(1 + 1300 - 317);
        (await SizeAsync(cluster, job)).ShouldBe((1300 - 317) * LineBytes);
    }

    [Fact]
    public async Task Log_TrimmedAgain_CountsAllThatWent()
    {
        await using var cluster = await TestCluster.StartAsync(postgres, KeepLittle);
        var (node, job) = await RunningAsync(cluster);

        for (var first = 1; first <= 5001; first += 1000)
            await AppendAsync(cluster, node, job, first, 1000);

        var lines = await ReadAsync(cluster, job);
        lines[0].Text.ShouldStartWith($"lines gone before this one: {6000 - (lines.Count - 1)}; ");
        (await SizeAsync(cluster, job)).ShouldBeInRange((1 << 20) * 14 / 16, 1 << 20);
    }

    /// <summary>Who reads on from a line that is still there is told nothing, and who asks for the last ones neither.</summary>
    [Fact]
    public async Task Notice_IsForReadersWhoWouldHaveMetTheLines()
    {
        await using var cluster = await TestCluster.StartAsync(postgres, KeepLittle);
        var (node, job) = await RunningAsync(cluster);
        await AppendAsync(cluster, node, job, 1, 1300);
        var logs = cluster.Get<LogStore>();
        var lines = await ReadAsync(cluster, job);

        (await logs.ReadAsync(job, lines[0].Sequence, null, 10, Token))[0].Sequence.ShouldBe(lines[1].Sequence);
        (await logs.ReadAsync(job, 0, rank: 3, 10, Token)).ShouldHaveSingleItem().Rank.ShouldBe(3);
        (await TailAsync(10)).ShouldBe(lines.TakeLast(10));
        (await TailAsync(5000)).ShouldBe(lines);

        async Task<IReadOnlyList<LogLine>> TailAsync(int limit) =>
            await logs.ReadAsync(job, await logs.TailAsync(job, 0, null, limit, Token), null, limit, Token);
    }

    [Fact]
    public async Task Sweep_WhenTheLimitWasLowered_TrimsWhatIsThere()
    {
        await using var generous = await TestCluster.StartAsync(postgres);
        var (node, job) = await RunningAsync(generous);
        await AppendAsync(generous, node, job, 1, 3000);
        await generous.DisposeAsync();

        await using var strict = await TestCluster.StartAsync(
            generous.ConnectionString, generous.Time, generous.Agents, KeepLittle);
        await strict.Get<LogRetention>().SweepAsync(Token);

        (await ReadAsync(strict, job)).Count.ShouldBe(1 + 1048);
    }

    private static void KeepLittle(IServiceCollection services) => services.Configure<LogOptions>(logs => logs.MaxBytesPerJob = 1 << 20);

    private static async Task<(TestNode Node, JobId Job)> RunningAsync(TestCluster cluster)
    {
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        return (node, job);
    }

    private static Task AppendAsync(TestCluster cluster, TestNode node, JobId job, int first, int count)
    {
        var lines = Enumerable.Repeat(new LogLine { Text = Text, Stream = LogStream.Stdout }, count).ToList();
        return cluster.Get<LogStore>().AppendAsync(node.Id, job, 1, first, lines, Token);
    }

    private static Task<IReadOnlyList<LogLine>> ReadAsync(TestCluster cluster, JobId job) =>
        cluster.Get<LogStore>().ReadAsync(job, 0, null, 10_000, Token);

    private static async Task<long> SizeAsync(TestCluster cluster, JobId job)
    {
        await using var source = NpgsqlDataSource.Create(cluster.ConnectionString + ";Pooling=false");
        await using var command = source.CreateCommand($"select bytes from log_sizes where job_id = '{job}'");
        return (long)(await command.ExecuteScalarAsync(Token))!;
    }
}
