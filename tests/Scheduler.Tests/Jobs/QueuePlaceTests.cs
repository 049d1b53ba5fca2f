using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Submissions;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

public sealed class QueuePlaceTests(PostgresServer postgres)
{
    [Fact]
    public async Task Line_IsCountedSoFar_AndWhoeverComesAfterIsToldThatMuch()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var now = cluster.Time.GetUtcNow();
        var jobs = Enumerable.Range(0, QueuePlaces.Counted + 2).Select(i => JobSubmission.Of(
            "alice", $"{i}", AJob().Build(), waitForCapacity: true, now.AddMilliseconds(i))).ToList();
        await Task.WhenAll(jobs.Select(job => cluster.Get<SubmissionGroups>().StoreAsync(new Submission([job], null))));

        await CheckAsync(0, new QueueStanding { Position = 1 });
        await CheckAsync(QueuePlaces.Counted - 1, new QueueStanding { Position = QueuePlaces.Counted });
        await CheckAsync(QueuePlaces.Counted, new QueueStanding { Position = QueuePlaces.Counted, OrLater = true });
        await CheckAsync(QueuePlaces.Counted + 1, new QueueStanding { Position = QueuePlaces.Counted, OrLater = true });

        async Task CheckAsync(int index, QueueStanding standing) =>
            (await cluster.GetAsync(jobs[index].Id)).Queue.ShouldBe(standing);
    }
}
