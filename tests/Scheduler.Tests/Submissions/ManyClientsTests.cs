using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Submissions;

public sealed class ManyClientsTests(PostgresServer postgres)
{
    private const int Clients = 50;
    private const int JobsOfEach = 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AThousandJobs_FromFiftyClientsAtOnce_AreAllThereOnce_EachWhenItIsAnswered()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        await using var database = NpgsqlDataSource.Create(scheduler.ConnectionString);

        var ids = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => SubmitAsync(scheduler, database)));

        ids.SelectMany(each => each).Distinct().Count().ShouldBe(Clients * JobsOfEach);
        foreach (var table in new[] { "jobs", "job_events", "job_queue" })
            (await scheduler.QueryAsync($"select count(*) from {table}")).ShouldBe((long)Clients * JobsOfEach, table);
        (await scheduler.QueryAsync("select count(distinct xmin::text) from job_events"))
            .ShouldBeOfType<long>().ShouldBeLessThan(Clients * JobsOfEach, "commits are shared");
    }

    private static async Task<List<string>> SubmitAsync(TestScheduler scheduler, NpgsqlDataSource database)
    {
        var (jobs, ids) = (scheduler.Jobs(), new List<string>());
        for (var i = 0; i < JobsOfEach; i++)
        {
            var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = AJob().Build(), WaitForCapacity = true };
            ids.Add((await jobs.SubmitJobAsync(request)).Job.Id);
            await using var stored = database.CreateCommand("select count(*) from jobs where id = $1");
            stored.Parameters.Add(new() { Value = Guid.Parse(ids[^1]) });
            (await stored.ExecuteScalarAsync(Token)).ShouldBe(1L);
        }

        return ids;
    }
}
