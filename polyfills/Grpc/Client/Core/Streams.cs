using System.Runtime.CompilerServices;

namespace Grpc.Core;

/// <summary>The messages that the other side sends, one at a time; a second <see cref="MoveNext"/> must wait for the first.</summary>
public interface IAsyncStreamReader<out T>
{
    /// <summary>The message that the last successful <see cref="MoveNext"/> read.</summary>
    T Current { get; }

    /// <summary>False once the other side has ended its stream.</summary>
    /// <exception cref="RpcException">On a client: the call ended with a status other than OK.</exception>
    Task<bool> MoveNext(CancellationToken cancellationToken);
}

/// <summary>The messages sent to the other side; one write at a time, each done once it is handed to the transport.</summary>
public interface IAsyncStreamWriter<in T>
{
    /// <summary>Applies to the next write, and to those after it.</summary>
    WriteOptions? WriteOptions { get; set; }

    Task WriteAsync(T message);

    Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        if (cancellationToken.CanBeCanceled)
            throw new NotSupportedException("Cancellation of stream writes is not supported by this gRPC implementation.");
        return WriteAsync(message);
    }
}

/// <summary>A server's answers.</summary>
public interface IServerStreamWriter<in T> : IAsyncStreamWriter<T>;

/// <summary>A client's requests.</summary>
public interface IClientStreamWriter<in T> : IAsyncStreamWriter<T>
{
    /// <summary>Half-closes the call: the server's reader ends, its answers may go on.</summary>
    Task CompleteAsync();
}

public static class AsyncStreamReaderExtensions
{
    public static Task<bool> MoveNext<T>(this IAsyncStreamReader<T> streamReader)
    {
        ArgumentNullException.ThrowIfNull(streamReader);
        return streamReader.MoveNext(CancellationToken.None);
    }

    /// <summary>The rest of the stream, for <c>await foreach</c>.</summary>
    public static IAsyncEnumerable<T> ReadAllAsync<T>(this IAsyncStreamReader<T> streamReader, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(streamReader);
        return Read(streamReader, cancellationToken);
    }

    private static async IAsyncEnumerable<T> Read<T>(IAsyncStreamReader<T> reader, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await reader.MoveNext(cancellationToken).ConfigureAwait(false))
            yield return reader.Current;
    }
}
