using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>What a caller sends. That it cannot be read is the caller's doing, not a fault of the scheduler to be logged as one.</summary>
internal sealed class CallerStream<T>(IAsyncStreamReader<T> inner) : IAsyncStreamReader<T>
{
    public T Current => inner.Current;

    /// <exception cref="RpcException">Internal, as gRPC's own checks say: this is no message. Cancelled: the caller went away.</exception>
    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        try
        {
            return await inner.MoveNext(cancellationToken);
        }
        catch (Exception fault) when (fault is InvalidProtocolBufferException or InvalidDataException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"the request cannot be read: {fault.Message}"));
        }
        catch (IOException fault)
        {
            // The call's token says so too, but perhaps only a moment later.
            throw new RpcException(new Status(StatusCode.Cancelled, fault.Message));
        }
    }
}
