using System.Net;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Webhooks;
using Cluster.Tests.Shared;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Webhooks;

public sealed class WebhookSenderTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Redirect_IsAFault_AndIsNotFollowed()
    {
        await using var elsewhere = await WebhookReceiver.StartAsync(200);
        await using var receiver = await WebhookReceiver.StartAsync((_, context) =>
        {
            context.Response.Redirect(elsewhere.Url);
            return Task.CompletedTask;
        });

        (await SendAsync(receiver.Url)).ShouldBe("it answered 302, and redirects are not followed; give the address itself");

        elsewhere.Requests.ShouldBe(0);
    }

    [Fact]
    public async Task ReceiverThatDoesNotAnswer_IsGivenUpAtTheTimeout()
    {
        await using var receiver = await WebhookReceiver.StartAsync(
            (_, context) => Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(
                _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default));

        (await SendAsync(receiver.Url, options => options.Timeout = TimeSpan.FromMilliseconds(200)))
            .ShouldBe("no answer within 0.2 s");
    }

    [Fact]
    public async Task AddressWhereNobodyListens_IsAFault_AndTheCallersCancellationIsNot()
    {
        (await SendAsync($"http://127.0.0.1:{FreePorts.Take()}/")).ShouldNotBeNull().ShouldContain("refused");

        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        using var sender = Sender();
        await Should.ThrowAsync<OperationCanceledException>(
            () => sender.SendAsync("http://127.0.0.1:1/", "secret", new WebhookEvent(), cancelled.Token));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    [InlineData("[::ffff:127.0.0.1]")]
    public async Task PrivateAddress_IsNotCalled_UnlessThatIsAllowed(string host)
    {
        await using var receiver = await WebhookReceiver.StartAsync(200);
        var url = receiver.Url.Replace("127.0.0.1", host, StringComparison.Ordinal);

        (await SendAsync(url, options => options.AllowPrivateAddresses = false)).ShouldNotBeNull().ShouldContain("has no public address");
        receiver.Requests.ShouldBe(0);
        (await SendAsync(url)).ShouldBeNull();
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("172.32.0.1", true)]
    [InlineData("2606:4700::1111", true)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.31.255.255", false)]
    [InlineData("192.168.0.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("::1", false)]
    [InlineData("::", false)]
    [InlineData("fd00::1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("::ffff:10.1.2.3", false)]
    [InlineData("64:ff9b::a01:203", false)]
    [InlineData("2002:a01:203::1", false)]
    public void Address_IsPublicOrNot(string address, bool isPublic) => PublicAddress.IsPublic(IPAddress.Parse(address)).ShouldBe(isPublic);

    private static async Task<string?> SendAsync(string url, Action<WebhookOptions>? configure = null)
    {
        using var sender = Sender(configure);
        return await sender.SendAsync(url, "secret", new WebhookEvent(), Token);
    }

    private static WebhookSender Sender(Action<WebhookOptions>? configure = null)
    {
        var options = new WebhookOptions { AllowPrivateAddresses = true };
        configure?.Invoke(options);
        return new WebhookSender(Options.Create(options), TimeProvider.System);
    }
}
