namespace Grpc.Core;

/// <summary>What a caller asks of one call. <see cref="Deadline"/> is UTC; none means the call may last for ever.</summary>
public struct CallOptions
{
    public CallOptions(Metadata? headers = null, DateTime? deadline = null, CancellationToken cancellationToken = default, WriteOptions? writeOptions = null)
    {
        Headers = headers;
        Deadline = deadline;
        CancellationToken = cancellationToken;
        WriteOptions = writeOptions;
    }

    public Metadata? Headers { get; private set; }

    public DateTime? Deadline { get; private set; }

    public CancellationToken CancellationToken { get; private set; }

    public WriteOptions? WriteOptions { get; private set; }

    public CallOptions WithHeaders(Metadata headers) => this with { Headers = headers };

    public CallOptions WithDeadline(DateTime deadline) => this with { Deadline = deadline };

    public CallOptions WithCancellationToken(CancellationToken cancellationToken) => this with { CancellationToken = cancellationToken };

    public CallOptions WithWriteOptions(WriteOptions writeOptions) => this with { WriteOptions = writeOptions };
}

/// <summary>How one message is written.</summary>
[Flags]
public enum WriteFlags
{
    /// <summary>The writer may hold the message back until a later one or the end of the call flushes it.</summary>
    BufferHint = 0x1,

    /// <summary>The message is sent as it is, although the call's encoding compresses.</summary>
    NoCompress = 0x2,
}

public class WriteOptions(WriteFlags flags = default)
{
    public static readonly WriteOptions Default = new();

    public WriteFlags Flags { get; } = flags;
}
