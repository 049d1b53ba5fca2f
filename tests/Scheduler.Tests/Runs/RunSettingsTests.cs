using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;

namespace Cluster.Scheduler.Tests.Runs;

public sealed class RunSettingsTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>As of jobs that an earlier version stored, one of which nobody can read any more.</summary>
    [Fact]
    public async Task Sweep_AddsWhatASubmitWouldHave()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);
        var damaged = await cluster.SubmitAsync(waitForCapacity: true);
        var submitted = await SettingsAsync();
        await TestDatabase.ExecuteAsync(cluster, $@"delete from run_settings; update jobs set spec = '\xff' where id = '{damaged}'");

        await cluster.Get<RunSettings>().SweepAsync(Token);
        await cluster.Get<RunSettings>().SweepAsync(Token);

        submitted.ShouldContain("\"model.name\": \"lenet5\"");
        (await SettingsAsync()).ShouldBe(submitted);
        (await TestDatabase.QueryAsync<string>(cluster, $"select settings::text from run_settings where job_id = '{damaged}'"))
            .ShouldBe("{}");

        Task<string> SettingsAsync() =>
            TestDatabase.QueryAsync<string>(cluster, $"select settings::text from run_settings where job_id = '{job}'");
    }
}
