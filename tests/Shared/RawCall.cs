using Cluster.Contracts.Access;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Tests.Shared;

/// <summary>Calls of an RPC that is known by its descriptor alone, with bytes that need be no message.</summary>
internal static class RawCall
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create<byte[]>(bytes => bytes, bytes => bytes);

    /// <summary>Makes the call, and reads what is answered until its end. To an RPC that takes a stream the bytes are sent twice.</summary>
    /// <param name="mostAnswers">Of a stream: it is left after so many.</param>
    /// <exception cref="RpcException">It ends otherwise than well.</exception>
    public static async Task MakeAsync(
        CallInvoker invoker, MethodDescriptor method, byte[] sent, CallOptions options, int mostAnswers = int.MaxValue)
    {
        var type = method.IsClientStreaming ? MethodType.ClientStreaming
            : method.IsServerStreaming ? MethodType.ServerStreaming : MethodType.Unary;
        var called = new Method<byte[], byte[]>(type, method.Service.FullName, method.Name, Bytes, Bytes);
        if (method.IsClientStreaming)
        {
            using var upload = invoker.AsyncClientStreamingCall(called, null, options);
            await upload.SendAsync(new[] { sent, sent }.ToAsyncEnumerable(), options.CancellationToken);
        }
        else if (method.IsServerStreaming)
        {
            using var stream = invoker.AsyncServerStreamingCall(called, null, options, sent);
            for (var answers = 0; answers < mostAnswers && await stream.ResponseStream.MoveNext(options.CancellationToken); answers++)
                stream.ResponseStream.Current.ShouldNotBeNull();
        }
        else
        {
            using var call = invoker.AsyncUnaryCall(called, null, options, sent);
            await call.ResponseAsync;
        }
    }

    /// <summary>Whether the bytes are one: of others Grpc.AspNetCore says Internal or Unknown before anybody behind it sees them.</summary>
    public static bool IsMessage(MessageDescriptor type, byte[] bytes)
    {
        try
        {
            type.Parser.ParseFrom(bytes);
            return true;
        }
        catch (InvalidProtocolBufferException)
        {
            return false;
        }
    }
}
