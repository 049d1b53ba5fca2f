using System.IO.Compression;
using Grpc.Core;

namespace Grpc.Wire;

/// <summary>One compression of messages, by its name in <c>grpc-encoding</c>.</summary>
internal sealed class MessageEncoding
{
    private readonly Func<Stream, CompressionLevel, Stream> compress;
    private readonly Func<Stream, Stream> decompress;

    private MessageEncoding(string name, Func<Stream, CompressionLevel, Stream> compress, Func<Stream, Stream> decompress)
    {
        Name = name;
        this.compress = compress;
        this.decompress = decompress;
    }

    /// <summary>What this side can read, for <c>grpc-accept-encoding</c>.</summary>
    public const string Accepted = "identity,gzip,deflate";

    public static MessageEncoding Gzip { get; } = new(
        "gzip",
        (stream, level) => new GZipStream(stream, level, leaveOpen: true),
        stream => new GZipStream(stream, CompressionMode.Decompress));

    /// <summary>In HTTP, and so here, "deflate" is the zlib format.</summary>
    public static MessageEncoding Deflate { get; } = new(
        "deflate",
        (stream, level) => new ZLibStream(stream, level, leaveOpen: true),
        stream => new ZLibStream(stream, CompressionMode.Decompress));

    public string Name { get; }

    /// <summary>False for an encoding that this side does not have. Identity, named or not, is true with null.</summary>
    public static bool TryFind(string? name, out MessageEncoding? encoding)
    {
        encoding = name switch
        {
            "gzip" => Gzip,
            "deflate" => Deflate,
            _ => null,
        };
        return encoding is not null || name is null or "" or "identity";
    }

    public void Compress(ReadOnlySpan<byte> payload, CompressionLevel level, Stream output)
    {
        using var compressor = compress(output, level);
        compressor.Write(payload);
    }

    /// <summary>Stops as soon as the limit is passed, so that a small message cannot blow up into a huge one.</summary>
    /// <exception cref="RpcException">ResourceExhausted over the limit; Internal for bytes that are not of this encoding.</exception>
    public ReadOnlyMemory<byte> Decompress(ReadOnlyMemory<byte> payload, int? maxMessageSize)
    {
        var output = new MemoryStream();
        var chunk = new byte[16 * 1024];
        try
        {
            using var input = decompress(new MemoryStream(payload.ToArray(), writable: false));
            for (int read; (read = input.Read(chunk)) > 0;)
            {
                if (output.Length + read > (maxMessageSize ?? Array.MaxLength))
                    throw new RpcException(MessageReader.TooLarge);
                output.Write(chunk, 0, read);
            }
        }
        catch (InvalidDataException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, $"A message could not be decompressed as {Name}.", e));
        }
        return output.GetBuffer().AsMemory(0, (int)output.Length);
    }
}
