using System.Net;
using Grpc.Core;

namespace Grpc.Net.Client;

/// <summary>The request body that is one message.</summary>
internal sealed class UnaryRequestContent<TRequest, TResponse>(HttpCall<TRequest, TResponse> call, TRequest message) : HttpContent
    where TRequest : class
    where TResponse : class
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        ReadOnlyMemory<byte> frame;
        try
        {
            frame = call.CreateMessageWriter().Frame(call.Method.RequestMarshaller, message, call.Options.WriteOptions);
        }
        catch (RpcException e)
        {
            call.End(e.Status, Metadata.Empty);  // here, because HttpClient would wrap the exception
            throw;
        }
        await stream.WriteAsync(frame, call.Stopped).ConfigureAwait(false);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}

/// <summary>The request body that a <see cref="RequestStreamWriter{TRequest, TResponse}"/> writes.</summary>
internal sealed class StreamingRequestContent<TRequest, TResponse>(RequestStreamWriter<TRequest, TResponse> writer) : HttpContent
    where TRequest : class
    where TResponse : class
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => writer.UseBodyAsync(stream);

    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}
