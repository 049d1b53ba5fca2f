using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Webhooks;

/// <summary>A scheduler whose webhooks may call this machine, and try again soon.</summary>
public sealed class WebhookScheduler(PostgresServer postgres) : IAsyncLifetime
{
    public const int Tries = 5;

    public TestScheduler Scheduler { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Scheduler = await TestScheduler.StartAsync(
        postgres, ("Webhooks:AllowPrivateAddresses", "true"), ("Webhooks:FirstDelay", "00:00:00.05"), ("Webhooks:Tries", $"{Tries}"),
        ("Webhooks:Timeout", "00:01:00"));

    public ValueTask DisposeAsync() => Scheduler?.DisposeAsync() ?? default;
}

/// <summary>Webhooks as their owners and their receivers see them. Each test has a workspace of its own.</summary>
public sealed class WebhookTests(WebhookScheduler shared) : IClassFixture<WebhookScheduler>
{
    private readonly TestScheduler _scheduler = shared.Scheduler;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Delivery_WhenTheReceiverFailsFirst_ComesAgain_TheSameAndSigned()
    {
        await using var receiver = await WebhookReceiver.StartAsync(500, 503, 204);
        var secret = (await CreateAsync("fails-first", receiver.Url)).Secret;
        var job = await CancelOneAsync("fails-first");

        var received = new[] { await receiver.NextAsync(), await receiver.NextAsync(), await receiver.NextAsync() };

        received.Select(request => request.Body).Distinct().ShouldHaveSingleItem();
        var told = JsonParser.Default.Parse<WebhookEvent>(received[0].Body);
        (told.JobId, told.Webhook, told.To, told.IsTest).ShouldBe((job.Id, "fails-first", JobState.Cancelled, false));
        foreach (var request in received)
        {
            request.Method.ShouldBe("POST");
            request.Headers["Content-Type"].ShouldStartWith("application/json");
            IsSigned(request, secret).ShouldBeTrue();
            IsSigned(request, secret + "x").ShouldBeFalse();
        }

        await Eventually.HoldsAsync(async () => await FindAsync("fails-first") is { Pending: 0, LastDeliveredAt: not null });
        (await FindAsync("fails-first")).LastFault.ShouldBe("it answered 503");
    }

    [Fact]
    public async Task Event_WhenNoTryIsAnsweredWell_IsDead_AndIsToldInTheListAndTheLog()
    {
        await using var receiver = await WebhookReceiver.StartAsync(410);
        await CreateAsync("never", receiver.Url);
        var job = await CancelOneAsync("never");

        await Eventually.HoldsAsync(async () => (await FindAsync("never")).Dead == 1);

        var webhook = await FindAsync("never");
        (webhook.Pending, webhook.LastFault).ShouldBe((0, "it answered 410"));
        receiver.Requests.ShouldBe(WebhookScheduler.Tries);
        await Eventually.HoldsAsync(() => _scheduler.Log.Entries.Any(entry => entry.Level == LogLevel.Warning
            && entry.Message == $"Webhook never was not told that job {job.Id} is Cancelled: "
                + $"given up after {WebhookScheduler.Tries} tries, the last because: it answered 410"));
    }

    [Fact]
    public async Task SlowReceiver_KeepsNoOtherWaiting()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var slow = await WebhookReceiver.StartAsync((_, context) => release.Task.WaitAsync(context.RequestAborted));
        await using var receiver = await WebhookReceiver.StartAsync(200);
        await CreateAsync("slow", slow.Url);
        await CreateAsync("swift", receiver.Url);
        await CancelOneAsync("slow");
        await slow.NextAsync();

        var job = await CancelOneAsync("swift");

        JsonParser.Default.Parse<WebhookEvent>((await receiver.NextAsync()).Body).JobId.ShouldBe(job.Id);
        release.SetResult();
        await Eventually.HoldsAsync(async () => (await FindAsync("slow")).Pending == 0);
    }

    [Fact]
    public async Task Secret_IsToldAtCreationAlone()
    {
        await using var receiver = await WebhookReceiver.StartAsync(200);
        var created = await CreateAsync("secretive", receiver.Url);
        created.Secret.Length.ShouldBeGreaterThan(40);
        (await Client().TestWebhookAsync(new TestWebhookRequest { Name = "secretive" }, cancellationToken: Token)).Delivered.ShouldBeTrue();
        var test = await receiver.NextAsync();

        JsonParser.Default.Parse<WebhookEvent>(test.Body).IsTest.ShouldBeTrue();
        IsSigned(test, created.Secret).ShouldBeTrue();
        var listed = await Client().ListWebhooksAsync(new ListWebhooksRequest(), cancellationToken: Token);
        $"{created.Webhook}{listed}{test.Body}".ShouldNotContain(created.Secret);
        _scheduler.Log.Entries.ShouldAllBe(
            entry => !entry.Message.Contains(created.Secret) && !$"{entry.Exception}".Contains(created.Secret));
    }

    [Fact]
    public async Task Webhook_IsItsOwners_AndOperators()
    {
        await CreateAsync("owned", "https://example.com/");
        var (other, all) = (Client(TestScheduler.OtherSubmitterToken), Client(TestScheduler.OperatorToken));

        (await other.ListWebhooksAsync(new ListWebhooksRequest(), cancellationToken: Token)).Webhooks
            .ShouldNotContain(webhook => webhook.Name == "owned");
        await RefusedAsync(StatusCode.NotFound, () => other.DeleteWebhookAsync(new DeleteWebhookRequest { Name = "owned" }));
        await RefusedAsync(StatusCode.NotFound, () => other.TestWebhookAsync(new TestWebhookRequest { Name = "owned" }));
        await RefusedAsync(StatusCode.AlreadyExists, () => other.CreateWebhookAsync(Order("owned", "https://example.com/")));
        await RefusedAsync(StatusCode.PermissionDenied, () => other.CreateWebhookAsync(
            new CreateWebhookRequest { Webhook = new Webhook { Name = "all", Url = "https://example.com/", AllOwners = true } }));

        (await all.ListWebhooksAsync(new ListWebhooksRequest(), cancellationToken: Token)).Webhooks
            .Single(webhook => webhook.Name == "owned").Owner.ShouldBe("alice");
        await all.DeleteWebhookAsync(new DeleteWebhookRequest { Name = "owned" }, cancellationToken: Token);
        await RefusedAsync(StatusCode.NotFound, () => Client().DeleteWebhookAsync(new DeleteWebhookRequest { Name = "owned" }));
    }

    [Theory]
    [InlineData("ftp://example.com/", "url must be an http or https address")]
    [InlineData("https://me:secret@example.com/", "url must be an http or https address")]
    [InlineData("example.com", "url must be an http or https address")]
    [InlineData("https://example.com/\n", "url has a control character")]
    public async Task Address_ThatCannotBeCalled_IsRefused(string url, string reason)
    {
        var refusal = await Should.ThrowAsync<RpcException>(() => CreateAsync("wrong", url));

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldStartWith(reason);
    }

    /// <summary>As docs/webhooks.md tells receivers to check it.</summary>
    private static bool IsSigned(Received request, string secret)
    {
        var parts = request.Headers["Cluster-Signature"].Split(',').Select(part => part.Split('=', 2)).ToDictionary(p => p[0], p => p[1]);
        var expected = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes($"{parts["t"]}.{request.Body}"));
        return parts["v1"] == Convert.ToHexString(expected).ToLowerInvariant();
    }

    private static async Task RefusedAsync<T>(StatusCode code, Func<AsyncUnaryCall<T>> call) =>
        (await Should.ThrowAsync<RpcException>(async () => await call())).StatusCode.ShouldBe(code);

    private static CreateWebhookRequest Order(string name, string url) =>
        new() { Webhook = new Webhook { Name = name, Url = url, Workspace = name } };

    private WebhookService.WebhookServiceClient Client(string token = TestScheduler.SubmitterToken) => new(_scheduler.As(token));

    private async Task<CreateWebhookResponse> CreateAsync(string name, string url) => await Client().CreateWebhookAsync(Order(name, url));

    private async Task<Webhook> FindAsync(string name) =>
        (await Client().ListWebhooksAsync(new ListWebhooksRequest())).Webhooks.Single(webhook => webhook.Name == name);

    private async Task<Job> CancelOneAsync(string workspace)
    {
        var job = await _scheduler.SubmitWaitingAsync(workspace);
        return (await _scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id })).Job;
    }
}
