using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>What is written when ranks report: little, however many ranks there are.</summary>
public sealed class ReportWriteTests(PostgresServer postgres)
{
    private const int Ranks = 16;

    // Which transaction wrote a row last.
    private const string Writers = "select string_agg(xmin::text, ' ' order by rank) from device_grants";

    [Fact]
    public async Task Report_OfOneRank_WritesItsGrantAlone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 3);
        var job = await cluster.SubmitAsync(AJob().WithDevices(3));
        await cluster.ReconcileAsync();
        var before = await WritersAsync(cluster);

        await cluster.Job(job).RankStartedAsync(1, 1);
        var started = await WritersAsync(cluster);
        await node.ExitAsync(job, 1, 2, TrainerExit.Done);
        var exited = await WritersAsync(cluster);

        Changed(before, started).ShouldBe([1]);
        Changed(started, exited).ShouldBe([2]);
    }

    [Fact]
    public async Task Reports_ThatArriveDuringAWrite_AreStoredTogether()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: Ranks);
        var job = await cluster.SubmitAsync(AJob().WithDevices(Ranks).With(s => s.Hyperparameters.GlobalBatchSize = Ranks));
        await cluster.ReconcileAsync();

        var starts = await VersionsOfAsync(rank => cluster.Job(job).RankStartedAsync(1, rank));
        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Running);
        var exits = await VersionsOfAsync(rank => node.ExitAsync(job, 1, rank, TrainerExit.Done));

        (await cluster.GetAsync(job)).State.ShouldBe(JobState.Succeeded);
        starts.ShouldBeLessThan(Ranks);
        exits.ShouldBeLessThan(Ranks);

        async Task<long> VersionsOfAsync(Func<int, Task> report)
        {
            var before = await VersionAsync(cluster);
            Task[] reports;
            await using (var grants = await HeldTable.HoldAsync(cluster, "device_grants"))
            {
                reports = [report(0)];
                await grants.HeldUpAsync();
                reports = [.. reports, .. Enumerable.Range(1, Ranks - 1).Select(report)];
            }

            await Task.WhenAll(reports);
            return await VersionAsync(cluster) - before;
        }
    }

    private static IEnumerable<int> Changed(string[] before, string[] after) =>
        Enumerable.Range(0, before.Length).Where(rank => before[rank] != after[rank]);

    private static async Task<string[]> WritersAsync(TestCluster cluster) =>
        (await TestDatabase.QueryAsync<string>(cluster, Writers)).Split(' ');

    private static Task<long> VersionAsync(TestCluster cluster) => TestDatabase.QueryAsync<long>(cluster, "select version from jobs");
}
