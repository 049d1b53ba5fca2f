using Grpc.Core;

namespace Cluster.Scheduler.Access;

/// <summary>Answers to a caller whose token may be revoked, or expire, while the stream is open: then the next one is not sent.</summary>
/// <param name="check">Throws once the caller is to be told no more.</param>
internal sealed class AdmittedStream<T>(IServerStreamWriter<T> inner, Action check) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    /// <exception cref="RpcException">Unauthenticated.</exception>
    public Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        check();
        return inner.WriteAsync(message, cancellationToken);
    }
}
