using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>What a caller is sent. That the call is over is the caller's doing, not a fault of the scheduler to be logged as one.</summary>
/// <param name="isOver">Whether the caller has gone, or its deadline has passed.</param>
internal sealed class AnswerStream<T>(IServerStreamWriter<T> inner, Func<bool> isOver) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    /// <exception cref="RpcException">Cancelled: nobody takes the message any more.</exception>
    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        try
        {
            await inner.WriteAsync(message, cancellationToken);
        }
        catch (InvalidOperationException fault) when (isOver())
        {
            // It ended between a look at the token and this write.
            throw new RpcException(new Status(StatusCode.Cancelled, fault.Message));
        }
    }
}
