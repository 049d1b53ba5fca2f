using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>Makes frames of messages; see <see cref="MessageReader"/> for their form. A frame is valid until the next one is made.</summary>
internal sealed class MessageWriter(int? maxMessageSize, MessageEncoding? encoding, CompressionLevel level)
{
    private const int HeaderSize = 5;
    private const int KeptBufferSize = 8 * 1024 * 1024;

    private readonly PayloadBuffer payload = new(maxMessageSize);

    /// <exception cref="RpcException">ResourceExhausted for a message over the limit; Internal for one that cannot be serialized.</exception>
    public ReadOnlyMemory<byte> Frame<T>(Marshaller<T> marshaller, T message, WriteOptions? options)
    {
        payload.Reset();
        try
        {
            marshaller.ContextualSerializer(message, payload);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"A {typeof(T).Name} could not be serialized.", e));
        }
        var compress = encoding is not null && options?.Flags.HasFlag(WriteFlags.NoCompress) != true;
        return compress ? Compressed() : WithHeader(payload.Frame, flag: 0);
    }

    private Memory<byte> Compressed()
    {
        var output = new MemoryStream();
        output.SetLength(HeaderSize);
        output.Position = HeaderSize;
        encoding!.Compress(payload.Frame.Span[HeaderSize..], level, output);
        return WithHeader(output.GetBuffer().AsMemory(0, (int)output.Length), flag: 1);
    }

    private static Memory<byte> WithHeader(Memory<byte> frame, byte flag)
    {
        frame.Span[0] = flag;
        BinaryPrimitives.WriteInt32BigEndian(frame.Span[1..], frame.Length - HeaderSize);
        return frame;
    }

    /// <summary>The payload behind room for its header.</summary>
    private sealed class PayloadBuffer(int? maxMessageSize) : SerializationContext, IBufferWriter<byte>
    {
        private byte[] buffer = [];
        private int end = HeaderSize;
        private bool complete;

        public Memory<byte> Frame => complete
            ? buffer.AsMemory(0, end)
            : throw new RpcException(new Status(StatusCode.Internal, "The serializer did not complete its message."));

        public void Reset()
        {
            if (buffer.Length > KeptBufferSize)
                buffer = [];
            (end, complete) = (HeaderSize, false);
        }

        public override void SetPayloadLength(int payloadLength)
        {
            CheckLimit(payloadLength);
            Reserve(payloadLength);
        }

        public override IBufferWriter<byte> GetBufferWriter() => this;

        public override void Complete(byte[] payload)
        {
            SetPayloadLength(payload.Length);
            this.Write(payload);
            Complete();
        }

        public override void Complete()
        {
            CheckLimit(end - HeaderSize);
            Reserve(0);
            complete = true;
        }

        public void Advance(int count) => end += count;

        public Memory<byte> GetMemory(int sizeHint = 0)
        {
            Reserve(Math.Max(sizeHint, 1));
            return buffer.AsMemory(end);
        }

        public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

        private void CheckLimit(int length)
        {
            if (length > (maxMessageSize ?? Array.MaxLength - HeaderSize))
                throw new RpcException(new Status(StatusCode.ResourceExhausted, "Sending message exceeds the maximum configured message size."));
        }

        private void Reserve(int count)
        {
            var needed = end + (long)count;
            if (needed <= buffer.Length)
                return;
            // Exact the first time, since generated code announces the length; doubled when a serializer did not.
            var size = end == HeaderSize ? needed : Math.Min(Math.Max(needed, 2L * buffer.Length), Array.MaxLength);
            Array.Resize(ref buffer, (int)size);
        }
    }
}
