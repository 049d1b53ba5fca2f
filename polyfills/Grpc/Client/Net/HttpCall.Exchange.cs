using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client;

/// <summary>The call's way over HTTP: request, headers, messages, trailers.</summary>
internal sealed partial class HttpCall<TRequest, TResponse>
{
    private static readonly Status NoMessage = new(StatusCode.Internal, "The server ended the call with OK, but without the message that it must have.");

    /// <summary>Sends the request and reads the one answer of a unary or client-streaming call.</summary>
    public async Task<TResponse> RunToResponseAsync(HttpContent content)
    {
        await ExchangeHeadersAsync(content, single: true).ConfigureAwait(false);
        var message = await ReadAsync(single: true).ConfigureAwait(false);
        return message ?? throw Failure();
    }

    /// <summary>Sends the request of a call whose answers are read one by one.</summary>
    public void RunToHeaders(HttpContent content) => untilHeaders = ExchangeHeadersAsync(content, single: false);

    /// <summary>The next answer of a stream, or null when the server ended it with OK.</summary>
    public async Task<TResponse?> ReadNextAsync()
    {
        await untilHeaders.ConfigureAwait(false);
        var message = await ReadAsync(single: false).ConfigureAwait(false);
        return message is not null || GetStatus().StatusCode == StatusCode.OK ? message : throw Failure();
    }

    /// <summary>Makes frames of this call's requests; one for each stream.</summary>
    public MessageWriter CreateMessageWriter()
    {
        MessageEncoding.TryFind(RequestEncoding(), out var encoding);
        return new MessageWriter(channel.MaxSendMessageSize, encoding, System.IO.Compression.CompressionLevel.Fastest);
    }

    /// <summary>Never throws: a failure ends the call.</summary>
    private async Task ExchangeHeadersAsync(HttpContent content, bool single)
    {
        try
        {
            LogStart(Method.FullName);
            var received = await SendAsync(BuildRequest(content)).ConfigureAwait(false);
            lock (gate)
                response = received;
            if (Stopped.IsCancellationRequested)
                received.Dispose();  // ended meanwhile, when there was no response to dispose yet
            AcceptHeaders(received, single);
            if (Outcome() is null)
                reader = await OpenAsync(received).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            End(StatusOf(e, "Error starting gRPC call."), Metadata.Empty);
        }
    }

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request) => channel.Http is HttpClient client
        ? client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stopped)
        : channel.Http.SendAsync(request, Stopped);

    private HttpRequestMessage BuildRequest(HttpContent content)
    {
        if (!MessageEncoding.TryFind(RequestEncoding(), out var encoding))
            throw new InvalidOperationException($"Could not find compression provider for '{RequestEncoding()}'.");

        content.Headers.ContentType = new MediaTypeHeaderValue(GrpcHeaders.ContentType);
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(channel.Address, Method.FullName))
        {
            Content = content,
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = host;
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("grpc-dotnet-polyfill", "1.0"));
        request.Headers.TryAddWithoutValidation(GrpcHeaders.AcceptEncoding, MessageEncoding.Accepted);
        if (encoding is not null)
            request.Headers.TryAddWithoutValidation(GrpcHeaders.Encoding, encoding.Name);
        if (Remaining() is { } remaining)
            request.Headers.TryAddWithoutValidation(GrpcHeaders.Timeout, GrpcTimeout.Encode(remaining));
        foreach (var entry in Options.Headers ?? Metadata.Empty)
        {
            if (entry.Key != GrpcHeaders.EncodingRequest)
                request.Headers.TryAddWithoutValidation(entry.Key, GrpcHeaders.Encode(entry));
        }
        return request;
    }

    private string? RequestEncoding() => Options.Headers?.GetValue(GrpcHeaders.EncodingRequest);

    /// <summary>Ends the call when the headers already hold its status, or show that no gRPC server answered.</summary>
    private void AcceptHeaders(HttpResponseMessage received, bool single)
    {
        var headers = ToMetadata(received.Headers);
        responseHeaders.TrySetResult(headers);
        var contentType = received.Content.Headers.NonValidated.TryGetValues("content-type", out var values) ? values.ToString() : null;
        if (TryGetStatus(received.Headers) is { } status)
            End(single && status.StatusCode == StatusCode.OK ? NoMessage : status, headers);
        else if (received.StatusCode != HttpStatusCode.OK)
            End(Bad(StatusMapping.FromHttpStatus(received.StatusCode), $"HTTP status code: {(int)received.StatusCode}"), headers);
        else if (!GrpcHeaders.IsGrpc(contentType))
            End(Bad(StatusCode.Cancelled, contentType is null ? "Response did not have a content-type header." : $"Invalid content-type value: {contentType}"), headers);

        static Status Bad(StatusCode code, string why) => new(code, "Bad gRPC response. " + why);
    }

    private async Task<MessageReader> OpenAsync(HttpResponseMessage received)
    {
        var name = received.Headers.NonValidated.TryGetValues(GrpcHeaders.Encoding, out var values) ? values.ToString() : null;
        if (!MessageEncoding.TryFind(name, out var encoding))
        {
            throw new RpcException(new Status(
                StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{name}'. Supported encodings: {MessageEncoding.Accepted}"));
        }
        var body = await received.Content.ReadAsStreamAsync(Stopped).ConfigureAwait(false);
        return new MessageReader(body, channel.MaxReceiveMessageSize, encoding);
    }

    /// <summary>A message, or null once the call has ended.</summary>
    private async ValueTask<TResponse?> ReadAsync(bool single)
    {
        if (Outcome() is not null)
            return null;
        try
        {
            var message = await reader!.ReadAsync(Method.ResponseMarshaller, Stopped).ConfigureAwait(false);
            if (single && message is not null)
                await reader.ExpectEndAsync(Stopped).ConfigureAwait(false);
            if (message is not null && !single)
                return message;
            var status = TryGetStatus(response!.TrailingHeaders) ?? new Status(StatusCode.Cancelled, "No grpc-status found on response.");
            if (single && message is null && status.StatusCode == StatusCode.OK)
                status = NoMessage;
            End(status, ToMetadata(response.TrailingHeaders));
            return GetStatus().StatusCode == StatusCode.OK ? message : null;
        }
        catch (Exception e)
        {
            End(StatusOf(e, "Error reading the response."), Metadata.Empty);
            return null;
        }
    }

    private static Status? TryGetStatus(HttpHeaders headers)
    {
        if (!headers.NonValidated.TryGetValues(GrpcHeaders.Status, out var values))
            return null;
        var message = headers.NonValidated.TryGetValues(GrpcHeaders.Message, out var encoded) ? PercentEncoding.Decode(encoded.ToString()) : "";
        return int.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var code)
            ? new Status((StatusCode)code, message)
            : new Status(StatusCode.Cancelled, $"Unexpected grpc-status value: {values}");
    }

    private static Metadata ToMetadata(HttpHeaders headers)
    {
        var metadata = new Metadata();
        foreach (var (name, values) in headers.NonValidated)
        {
            foreach (var value in values)
                GrpcHeaders.Decode(metadata, name, value);
        }
        return metadata;
    }
}
