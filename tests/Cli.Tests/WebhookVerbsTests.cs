using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Cli.Tests;

public sealed class WebhookVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Create_SendsWhatIsGiven_AndPrintsTheSecretAlone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(
            Cancellation, "webhook", "create", "chat", "https://example.com/hook", "--on", "failed", "--on", "running", "--workspace",
            "vision", "--all-owners")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("whsec_once\n");
        run.Error.ShouldBe("the secret, which is not shown again:\n");
        cluster.Webhooks.Single().ShouldBe(new Webhook
        {
            Name = "chat",
            Url = "https://example.com/hook",
            States = { JobState.Failed, JobState.Running },
            Workspace = "vision",
            AllOwners = true,
        });
    }

    [Fact]
    public async Task List_GoesThroughAllPages()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.PageSize = 1;
        cluster.Webhooks.Add(new Webhook { Name = "chat", Owner = "alice", Url = "https://a.exam", States = { JobState.Failed } });
        cluster.Webhooks.Add(new Webhook
        {
            Name = "pager",
            Owner = "olga",
            Url = "https://b.exam",
            States = { JobState.Succeeded, JobState.Cancelled },
            Workspace = "vision",
            AllOwners = true,
            Pending = 2,
            Dead = 3,
            Dropped = 4,
            LastFault = "it answered 500",
            LastFaultAt = Builders.At(0),
        });
        var (run, json) = (new CliRun(cluster), new CliRun(cluster));

        (await run.RunAsync(Cancellation, "webhook", "list")).ShouldBe(ExitCode.Done);
        await json.RunAsync(Cancellation, "webhook", "list", "--json");

        var at = Words.Clock(Builders.At(0));
        run.Out.ShouldBe($"""
            WEBHOOK  OWNER          ON                   WORKSPACE  PENDING  DEAD  DROPPED  DELIVERED  URL             LAST FAULT
            chat     alice          failed               -          0        0     0        -          https://a.exam  -
            pager    olga, for all  succeeded,cancelled  vision     2        3     4        -          https://b.exam  {at} it answered 500

            """);
        JsonParser.Default.Parse<ListWebhooksResponse>(json.Out).Webhooks.ShouldBe(cluster.Webhooks);
    }

    [Fact]
    public async Task Test_SaysWhatCameOfIt_AndDeleteDeletes()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Webhooks.Add(new Webhook { Name = "well" });
        cluster.Webhooks.Add(new Webhook { Name = "away", LastFault = "it answered 404" });
        var (well, away, deleted) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));

        (await well.RunAsync(Cancellation, "webhook", "test", "well")).ShouldBe(ExitCode.Done);
        (await away.RunAsync(Cancellation, "webhook", "test", "away")).ShouldBe(ExitCode.Refused);
        (await deleted.RunAsync(Cancellation, "webhook", "delete", "away")).ShouldBe(ExitCode.Done);

        well.Out.ShouldBe("delivered\n");
        away.Out.ShouldBe("not delivered: it answered 404\n");
        deleted.Out.ShouldBe("webhook away deleted\n");
        cluster.Webhooks.Single().Name.ShouldBe("well");
    }
}
