using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Cluster.Contracts.Access;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api.Strangers;

/// <summary>Makes requests byte by byte, as no well-behaved client makes them, and counts the connections that it took.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly HttpClient _http;

    public RawClient(string address)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                Connections++;
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        _http = new HttpClient(handler)
        {
            BaseAddress = new Uri($"http://{address}"),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
    }

    public int Connections { get; private set; }

    public static byte[] Frame(byte[] payload, byte flag = 0)
    {
        var frame = new byte[5 + payload.Length];
        frame[0] = flag;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), payload.Length);
        payload.CopyTo(frame, 5);
        return frame;
    }

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    /// <summary>A call with a token, and with what <paramref name="change"/> makes of it.</summary>
    /// <returns>A response that was read to its end, so that its trailers are there.</returns>
    public async Task<HttpResponseMessage> CallAsync(string path, byte[] body, string token, Action<HttpRequestMessage>? change = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        request.Headers.TryAddWithoutValidation(CallMetadata.Authorization, CallMetadata.Bearer(token));
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
        change?.Invoke(request);
        return await _http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public void Dispose() => _http.Dispose();
}

internal static class RawResponses
{
    public static StatusCode StatusOf(this HttpResponseMessage response) =>
        (StatusCode)int.Parse(response.Find("grpc-status")!, CultureInfo.InvariantCulture);

    /// <summary>A trailer, or a header where the response is nothing but its trailers.</summary>
    public static string? Find(this HttpResponseMessage response, string name) =>
        response.TrailingHeaders.TryGetValues(name, out var values) || response.Headers.TryGetValues(name, out values)
            ? values.Single()
            : null;
}
