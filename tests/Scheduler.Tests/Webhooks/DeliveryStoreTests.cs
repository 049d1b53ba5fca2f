using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Webhooks;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Webhooks;

/// <summary>The outbox, with a clock that the test holds.</summary>
public sealed class DeliveryStoreTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Event_IsWrittenWithItsStateChange_ForTheWebhooksThatWantIt_AndNoOther()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var job = await cluster.SubmitAsync(waitForCapacity: true);
        (await TestDatabase.CountAsync(cluster, "webhook_deliveries")).ShouldBe(0, "nobody asked for it");
        var owner = (await cluster.GetAsync(job)).Owner;
        await CreateAsync(cluster, "mine", owner, JobState.Cancelled);
        await CreateAsync(cluster, "everyones", "olga", JobState.Cancelled, webhook => webhook.AllOwners = true);
        await CreateAsync(cluster, "anothers", "somebody", JobState.Cancelled);
        await CreateAsync(cluster, "elsewhere", owner, JobState.Cancelled, webhook => webhook.Workspace = "elsewhere");
        await CreateAsync(cluster, "successes", owner, JobState.Succeeded);

        await cluster.Job(job).CancelAsync(new CancelJob(owner, "enough"));

        var store = Store(cluster);
        var deliveries = new List<Delivery>();
        foreach (var webhook in await store.FindDueAsync(Token))
            deliveries.AddRange(await store.ClaimAsync(webhook, 10, Token));
        deliveries.Select(delivery => delivery.Event.Webhook).Order().ShouldBe(["everyones", "mine"]);
        var told = deliveries[0].Event;
        (told.JobId, told.Owner, told.From, told.To).ShouldBe(($"{job}", owner, JobState.Queued, JobState.Cancelled));
        told.Reason.ShouldContain("enough");
    }

    [Fact]
    public async Task Claim_OfASchedulerThatDied_ComesDueAgain_AndIsNobodyElsesBefore()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await CreateAsync(cluster, "mine", "bob", JobState.Cancelled, webhook => webhook.AllOwners = true);
        await CancelOneAsync(cluster);
        var (one, another) = (Store(cluster), Store(cluster));
        var webhook = (await one.FindDueAsync(Token)).ShouldHaveSingleItem();

        var claims = await Task.WhenAll(one.ClaimAsync(webhook, 10, Token), another.ClaimAsync(webhook, 10, Token));
        claims.Sum(claimed => claimed.Count).ShouldBe(1);
        (await another.FindDueAsync(Token)).ShouldBeEmpty();

        cluster.Time.Advance(TimeSpan.FromMinutes(1));
        var again = (await another.ClaimAsync(webhook, 10, Token)).ShouldHaveSingleItem();
        (again.Id, again.Tries).ShouldBe((claims.SelectMany(claimed => claimed).Single().Id, 2));
        // What the first one says late moves nothing that the second has begun.
        await one.FailedAsync(again with { Tries = 1 }, "late", cluster.Time.GetUtcNow(), Token);
        (await another.FindDueAsync(Token)).ShouldBeEmpty();
        await another.DeliveredAsync(again, Token);
        (await TestDatabase.CountAsync(cluster, "webhook_deliveries")).ShouldBe(0);
    }

    [Fact]
    public async Task Trim_DropsTheOldestBeyondTheLimit_AndWhatIsLeftOfDeletedWebhooks()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await CreateAsync(cluster, "mine", "bob", JobState.Cancelled, webhook => webhook.AllOwners = true);
        for (var i = 0; i < 3; i++)
        {
            await CancelOneAsync(cluster);
            cluster.Time.Advance(TimeSpan.FromSeconds(1));
        }

        (await Store(cluster, mostPending: 3).TrimAsync(Token)).ShouldBe(0);
        (await Store(cluster, mostPending: 2).TrimAsync(Token)).ShouldBe(1);

        var listed = (await Webhooks(cluster).ListAsync(new WebhookReach(null, null), 10, "", Token)).Entries.ShouldHaveSingleItem();
        (listed.Pending, listed.Dropped).ShouldBe((2, 1));
        (await TestDatabase.QueryAsync<double>(cluster, "select extract(epoch from max(time) - min(time))::float8 from webhook_deliveries"))
            .ShouldBe(1, "the oldest of three, a second apart, is gone");
        await TestDatabase.ExecuteAsync(cluster, "delete from webhooks");
        (await Store(cluster).TrimAsync(Token)).ShouldBe(0);
        (await TestDatabase.CountAsync(cluster, "webhook_deliveries")).ShouldBe(0);
    }

    private static async Task CancelOneAsync(TestCluster cluster) =>
        await cluster.Job(await cluster.SubmitAsync(waitForCapacity: true)).CancelAsync(new CancelJob("bob", ""));

    private static DeliveryStore Store(TestCluster cluster, int mostPending = 100) =>
        new(cluster.Get<ClusterDatabase>(), Options.Create(new WebhookOptions { MostPending = mostPending }), cluster.Time);

    private static WebhookStore Webhooks(TestCluster cluster) => new(cluster.Get<ClusterDatabase>());

    private static async Task CreateAsync(
        TestCluster cluster, string name, string owner, JobState state, Action<Webhook>? configure = null)
    {
        var webhook = new Webhook
        {
            Name = name,
            Owner = owner,
            Url = "http://nowhere/",
            States = { state },
            CreatedAt = Timestamp.FromDateTimeOffset(cluster.Time.GetUtcNow()),
        };
        configure?.Invoke(webhook);
        (await Webhooks(cluster).CreateAsync(webhook, "secret", 100, Token)).ShouldBe(WebhookCreation.Created);
    }
}
