using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Webhooks;

/// <summary>Makes one try: a POST with the event's JSON and a signature, of whose answer only the status is read.</summary>
/// <remarks>
/// It follows no redirect, asks no proxy and keeps no cookie: whom it calls is what the webhook's owner wrote, checked where the connection
/// is made, so that a name cannot mean one address when it is checked and another when it is called. What it calls is neither logged nor
/// traced, since addresses of webhooks often hold a secret.
/// </remarks>
internal sealed class WebhookSender : IDisposable
{
    private const int LongestFault = 300;

    // A name is looked up again so often.
    private static readonly TimeSpan LongestConnection = TimeSpan.FromMinutes(2);

    private readonly HttpClient _client;
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;

    public WebhookSender(IOptions<WebhookOptions> options, TimeProvider time)
    {
        (_options, _time) = (options.Value, time);
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            PooledConnectionLifetime = LongestConnection,
            ConnectCallback = async (context, cancellationToken) => await ConnectAsync(context.DnsEndPoint, cancellationToken),
        };
        // Each try has a limit of its own.
        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <returns>Why it was not delivered; null: it was.</returns>
    public async Task<string?> SendAsync(string url, string secret, WebhookEvent what, CancellationToken cancellationToken)
    {
        var body = JsonFormatter.Default.Format(what);
        using var request = new HttpRequestMessage(HttpMethod.Post, url)
        {
            Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json")),
            Headers =
            {
                { "User-Agent", "Cluster-Webhook" },
                { WebhookSignature.Header, WebhookSignature.Of(secret, _time.GetUtcNow(), body) },
            },
        };
        using var timeout = new CancellationTokenSource(_options.Timeout, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            using var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            return (int)answer.StatusCode switch
            {
                >= 200 and < 300 => null,
                >= 300 and < 400 and var status => $"it answered {status}, and redirects are not followed; give the address itself",
                var status => $"it answered {status}",
            };
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"no answer within {_options.Timeout.TotalSeconds} s";
        }
        catch (HttpRequestException fault)
        {
            return fault.Message.Length > LongestFault ? fault.Message[..LongestFault] : fault.Message;
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<Stream> ConnectAsync(System.Net.DnsEndPoint where, CancellationToken cancellationToken)
    {
        var addresses = await System.Net.Dns.GetHostAddressesAsync(where.Host, cancellationToken);
        var allowed = _options.AllowPrivateAddresses ? addresses : Array.FindAll(addresses, PublicAddress.IsPublic);
        if (allowed.Length == 0)
        {
            throw new HttpRequestException(
                $"{where.Host} has no public address, and {WebhookOptions.SectionName}:{nameof(WebhookOptions.AllowPrivateAddresses)} "
                    + "is false");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, where.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
