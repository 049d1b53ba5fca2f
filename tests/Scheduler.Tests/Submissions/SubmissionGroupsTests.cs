using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Submissions;

public sealed class SubmissionGroupsTests(PostgresServer postgres)
{
    [Fact]
    public async Task Submits_ThatArriveDuringACommit_AreStoredByTheNextOneTogether()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var groups = cluster.Get<SubmissionGroups>();
        Task<bool>[] stored;
        await using (var jobs = await HeldTable.HoldAsync(cluster, "jobs"))
        {
            stored = [groups.StoreAsync(ASubmission(cluster))];
            await jobs.HeldUpAsync();
            stored = [.. stored, .. Enumerable.Range(0, 20).Select(_ => groups.StoreAsync(ASubmission(cluster)))];
            stored.ShouldAllBe(each => !each.IsCompleted, "nobody is answered before the commit");
        }

        (await Task.WhenAll(stored)).ShouldAllBe(isNew => isNew);
        (await TestDatabase.QueryAsync<long>(cluster, "select count(distinct xmin::text) from jobs")).ShouldBe(2);
        (await TestDatabase.CountAsync(cluster, "job_events e join job_queue q using (job_id) join jobs j on j.id = q.job_id"))
            .ShouldBe(21);
    }

    [Fact]
    public async Task Submit_ThatCannotBeStored_FailsAlone()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var groups = cluster.Get<SubmissionGroups>();
        Task<bool> first, bad;
        Task<bool>[] good;
        await using (var jobs = await HeldTable.HoldAsync(cluster, "jobs"))
        {
            first = groups.StoreAsync(ASubmission(cluster));
            await jobs.HeldUpAsync();
            var before = groups.StoreAsync(ASubmission(cluster));
            // Postgres keeps no such character.
            bad = groups.StoreAsync(ASubmission(cluster, name: "a\0b"));
            good = [before, groups.StoreAsync(ASubmission(cluster)), groups.StoreAsync(ASubmission(cluster))];
        }

        (await first).ShouldBeTrue();
        (await Task.WhenAll(good)).ShouldAllBe(isNew => isNew);
        await Should.ThrowAsync<PostgresException>(() => bad);
        (await TestDatabase.CountAsync(cluster, "jobs")).ShouldBe(4);
    }

    [Fact]
    public async Task Submit_UnderARequestIdOfTheSameGroup_IsNotNew()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var groups = cluster.Get<SubmissionGroups>();
        var submission = ASubmission(cluster);
        Task<bool> first;
        Task<bool>[] same;
        await using (var jobs = await HeldTable.HoldAsync(cluster, "jobs"))
        {
            first = groups.StoreAsync(ASubmission(cluster));
            await jobs.HeldUpAsync();
            same = [groups.StoreAsync(submission), groups.StoreAsync(submission)];
        }

        (await first).ShouldBeTrue();
        (await Task.WhenAll(same)).ShouldBe([true, false]);
        (await TestDatabase.CountAsync(cluster, "jobs")).ShouldBe(2);
    }

    [Fact]
    public async Task Submits_ThatWait_AreStoredWhenTheSchedulerStops()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var groups = cluster.Get<SubmissionGroups>();
        Task<bool>[] stored;
        Task stopping;
        await using (var jobs = await HeldTable.HoldAsync(cluster, "jobs"))
        {
            stored = [groups.StoreAsync(ASubmission(cluster))];
            await jobs.HeldUpAsync();
            stored = [.. stored, groups.StoreAsync(ASubmission(cluster))];
            stopping = groups.StopAsync(TestContext.Current.CancellationToken);
            await Should.ThrowAsync<Scheduler.Changes.SchedulerStoppingException>(() => groups.StoreAsync(ASubmission(cluster)));
        }

        await stopping;
        (await Task.WhenAll(stored)).ShouldAllBe(isNew => isNew);
    }

    private static Submission ASubmission(TestCluster cluster, string name = "test") => new(
        [JobSubmission.Of("alice", Guid.NewGuid().ToString(), AJob().With(s => s.Name = name).Build(), true, cluster.Time.GetUtcNow())],
        null);
}
