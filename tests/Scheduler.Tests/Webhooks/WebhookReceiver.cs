using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Webhooks;

/// <summary>An HTTP server that keeps what it gets, and answers as the test tells it to.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly WebApplication _app;
    private readonly Channel<Received> _received = Channel.CreateUnbounded<Received>();
    private int _requests;

    private WebhookReceiver(WebApplication app) => _app = app;

    public string Url => $"{_app.Urls.Single()}/hook";

    public int Requests => Volatile.Read(ref _requests);

    /// <param name="answer">What the n-th request, from 1, is answered with.</param>
    public static async Task<WebhookReceiver> StartAsync(Func<int, HttpContext, Task> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        var receiver = new WebhookReceiver(builder.Build());
        receiver._app.Run(context => receiver.TakeAsync(context, answer));
        await receiver._app.StartAsync(TestContext.Current.CancellationToken);
        return receiver;
    }

    /// <param name="statuses">Of the answers, one after another; the last of them from then on.</param>
    public static Task<WebhookReceiver> StartAsync(params int[] statuses) => StartAsync((number, context) =>
    {
        context.Response.StatusCode = statuses[Math.Min(number, statuses.Length) - 1];
        return Task.CompletedTask;
    });

    /// <summary>The next request that has not been looked at.</summary>
    public async Task<Received> NextAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Patience);
        return await _received.Reader.ReadAsync(limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext context, Func<int, HttpContext, Task> answer)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        var number = Interlocked.Increment(ref _requests);
        var headers = context.Request.Headers.ToDictionary(header => header.Key, header => $"{header.Value}");
        _received.Writer.TryWrite(new Received(context.Request.Method, headers, body));
        await answer(number, context);
    }
}

internal sealed record Received(string Method, IReadOnlyDictionary<string, string> Headers, string Body);
