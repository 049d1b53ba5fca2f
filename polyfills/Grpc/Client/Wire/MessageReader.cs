using System.Buffers;
using System.Buffers.Binary;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>
/// Cuts the messages out of a request or response body. Each is a flag byte (1: compressed), a big-endian length of four bytes,
/// and the payload. One read at a time; a cancelled read loses nothing.
/// </summary>
internal sealed class MessageReader(Stream body, int? maxMessageSize, MessageEncoding? encoding)
{
    public static readonly Status TooLarge = new(StatusCode.ResourceExhausted, "Received message exceeds the maximum configured message size.");

    private const int HeaderSize = 5;
    private const int FirstBufferSize = 4 * 1024;
    private const int KeptBufferSize = 8 * 1024 * 1024;

    // Not from a pool: a call that is cancelled leaves the transport writing into it.
    private byte[] buffer = new byte[FirstBufferSize];
    private int start;
    private int end;

    /// <summary>The next message, or null at the end of the body.</summary>
    /// <exception cref="RpcException">
    /// ResourceExhausted for a message over the limit; Internal for a broken frame, a body that ends inside one, or bytes
    /// that are not the expected message.
    /// </exception>
    public async ValueTask<T?> ReadAsync<T>(Marshaller<T> marshaller, CancellationToken cancellationToken)
        where T : class
    {
        if (!await FillAsync(HeaderSize, cancellationToken).ConfigureAwait(false))
            return start == end ? null : throw Broken("Incomplete message.");

        var compressed = buffer[start] switch
        {
            0 => false,
            1 => true,
            _ => throw Broken("Unexpected compressed flag value in message header."),
        };
        var length = BinaryPrimitives.ReadUInt32BigEndian(buffer.AsSpan(start + 1));
        if (length > (maxMessageSize ?? Array.MaxLength - HeaderSize))
            throw new RpcException(TooLarge);
        if (compressed && encoding is null)
            throw Broken("A message is compressed, but grpc-encoding names no compression.");

        var frame = HeaderSize + (int)length;
        if (!await FillAsync(frame, cancellationToken).ConfigureAwait(false))
            throw Broken("Incomplete message.");

        ReadOnlyMemory<byte> payload = buffer.AsMemory(start + HeaderSize, (int)length);
        if (compressed)
            payload = encoding!.Decompress(payload, maxMessageSize);
        var message = Deserialize(marshaller, payload);
        Consume(frame);
        return message;
    }

    /// <summary>Where exactly one message may come: a second one, or bytes after the first, break the protocol.</summary>
    public async ValueTask ExpectEndAsync(CancellationToken cancellationToken)
    {
        if (await FillAsync(1, cancellationToken).ConfigureAwait(false))
            throw Broken("Additional data after the message received.");
    }

    private static T Deserialize<T>(Marshaller<T> marshaller, ReadOnlyMemory<byte> payload)
    {
        try
        {
            return marshaller.ContextualDeserializer(new Payload(payload));
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"A message could not be deserialized as {typeof(T).Name}.", e));
        }
    }

    private static RpcException Broken(string detail) => new(new Status(StatusCode.Internal, detail));

    /// <summary>Reads until that many bytes are there; false at the end of the body.</summary>
    private async ValueTask<bool> FillAsync(int count, CancellationToken cancellationToken)
    {
        while (end - start < count)
        {
            MakeRoom(count);
            var read = await body.ReadAsync(buffer.AsMemory(end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
                return false;
            end += read;
        }
        return true;
    }

    /// <summary>Makes at least one byte free. Grows by doubling and only as bytes arrive: a length prefix alone must not allocate what it claims.</summary>
    private void MakeRoom(int count)
    {
        if (start + count <= buffer.Length || (count > buffer.Length && end < buffer.Length))
            return;
        var target = count <= buffer.Length
            ? buffer
            : GC.AllocateUninitializedArray<byte>((int)Math.Min(count, 2L * buffer.Length));
        buffer.AsSpan(start, end - start).CopyTo(target);
        (buffer, start, end) = (target, 0, end - start);
    }

    private void Consume(int count)
    {
        start += count;
        if (start != end)
            return;
        start = end = 0;
        if (buffer.Length > KeptBufferSize)
            buffer = new byte[FirstBufferSize];  // a stream that once carried a huge message must not hold on to it
    }

    private sealed class Payload(ReadOnlyMemory<byte> bytes) : DeserializationContext
    {
        public override int PayloadLength => bytes.Length;

        public override byte[] PayloadAsNewBuffer() => bytes.ToArray();

        public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => new(bytes);
    }
}
