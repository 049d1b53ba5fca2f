using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Grpc.Tests;

/// <summary>Requests made byte by byte, as no well-behaved client makes them.</summary>
internal static class RawCalls
{
    public const string Unary = "/polyfill.v1.Echo/Unary";

    public static byte[] Frame(byte[] payload, byte flag = 0)
    {
        var frame = new byte[5 + payload.Length];
        frame[0] = flag;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), payload.Length);
        payload.CopyTo(frame, 5);
        return frame;
    }

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    public static async Task<HttpResponseMessage> PostAsync(
        Uri address, byte[] body, string path = Unary, string? contentType = "application/grpc", params (string Name, string Value)[] headers)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        if (contentType is not null)
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await client.SendAsync(request, TestContext.Current.CancellationToken);  // reads the whole body, so the trailers are there
    }

    public static StatusCode StatusOf(this HttpResponseMessage response) =>
        (StatusCode)int.Parse(response.Find("grpc-status")!, System.Globalization.CultureInfo.InvariantCulture);

    public static string? Find(this HttpResponseMessage response, string name) =>
        response.TrailingHeaders.TryGetValues(name, out var values) || response.Headers.TryGetValues(name, out values) ? values.Single() : null;
}
