using System.Buffers;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;

namespace Grpc.AspNetCore.Server;

/// <summary>The messages of a call.</summary>
internal sealed partial class HttpServerCallContext
{
    private MessageEncoding? responseEncoding;
    private MessageReader? reader;
    private MessageWriter? writer;

    /// <summary>Settles how messages are compressed either way.</summary>
    /// <exception cref="RpcException">Unimplemented: the client compresses in a way that this server does not have.</exception>
    public void NegotiateEncodings()
    {
        var headers = HttpContext.Request.Headers;
        var name = headers[GrpcHeaders.Encoding].ToString();
        if (!MessageEncoding.TryFind(name, out var requestEncoding))
        {
            HttpContext.Response.Headers[GrpcHeaders.AcceptEncoding] = MessageEncoding.Accepted;
            throw new RpcException(new Status(
                StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{name}'. Supported encodings: {MessageEncoding.Accepted}"));
        }
        reader = new MessageReader(HttpContext.Request.Body, settings.MaxReceiveMessageSize, requestEncoding);

        if (settings.ResponseEncoding is { } wanted
            && headers[GrpcHeaders.AcceptEncoding].ToString().Split(',', StringSplitOptions.TrimEntries).Contains(wanted.Name))
        {
            ChooseResponseEncoding(wanted.Name);
        }
    }

    /// <summary>The one request of a unary or server-streaming call.</summary>
    public async Task<T> ReadSingleAsync<T>(Marshaller<T> marshaller)
        where T : class
    {
        var message = await reader!.ReadAsync(marshaller, CancellationToken.None)
            ?? throw new RpcException(new Status(StatusCode.Internal, "Incomplete message."));
        await reader.ExpectEndAsync(CancellationToken.None);
        return message;
    }

    public async Task<T?> ReadNextAsync<T>(Marshaller<T> marshaller, CancellationToken cancellationToken)
        where T : class
    {
        lock (gate)
        {
            if (ended)
                throw new InvalidOperationException("Can't read messages after the request is complete.");
        }
        return await reader!.ReadAsync(marshaller, cancellationToken);
    }

    /// <summary>The one answer of a unary or client-streaming call; left in the buffer, so that it travels together with the trailers.</summary>
    public void WriteSingle<T>(Marshaller<T> marshaller, T? message)
        where T : class
    {
        lock (gate)
        {
            if (ended)
                return;  // the deadline has answered
            var frame = Frame(marshaller, message ?? throw new RpcException(new Status(StatusCode.Cancelled, "No message returned from method.")), WriteOptions);
            bodyStarted = true;
            HttpContext.Response.BodyWriter.Write(frame.Span);
        }
    }

    /// <exception cref="InvalidOperationException">The call has ended or was cancelled, or an earlier write is not done.</exception>
    public Task WriteNextAsync<T>(Marshaller<T> marshaller, T message, WriteOptions? options, CancellationToken cancellationToken)
        where T : class
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (gate)
        {
            if (ended || cancellation.IsCancellationRequested)
                throw new InvalidOperationException("Can't write the message because the request is complete.");
            if (!writing.IsCompleted)
                throw new InvalidOperationException("Can't write the message because the previous write is in progress.");
            var frame = Frame(marshaller, message, options);
            bodyStarted = true;
            if (options?.Flags.HasFlag(WriteFlags.BufferHint) == true)
            {
                HttpContext.Response.BodyWriter.Write(frame.Span);
                return Task.CompletedTask;
            }
            return writing = HttpContext.Response.BodyWriter.WriteAsync(frame, cancellationToken).AsTask();
        }
    }

    private ReadOnlyMemory<byte> Frame<T>(Marshaller<T> marshaller, T message, WriteOptions? options)
    {
        writer ??= new MessageWriter(settings.MaxSendMessageSize, responseEncoding, settings.CompressionLevel);
        return writer.Frame(marshaller, message, options);
    }

    private void ChooseResponseEncoding(string name)
    {
        if (!MessageEncoding.TryFind(name, out responseEncoding))
            throw new InvalidOperationException($"Could not find compression provider for '{name}'.");
        HttpContext.Response.Headers[GrpcHeaders.Encoding] = name;
    }
}
