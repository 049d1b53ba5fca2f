using System.Security.Cryptography;

namespace Cluster.Worker.Data.Indexing;

/// <summary>SHA-256, as a value.</summary>
internal readonly record struct Checksum(UInt128 First, UInt128 Last)
{
    public const int Bytes = SHA256.HashSizeInBytes;

    public Checksum(ReadOnlySpan<byte> hash)
        : this(BitConverter.ToUInt128(hash), BitConverter.ToUInt128(hash[(Bytes / 2)..]))
    {
    }

    public static Checksum Of(ReadOnlySpan<byte> data) => new(SHA256.HashData(data));

    public static Checksum Read(BinaryReader reader) => new(reader.ReadBytes(Bytes));

    public void Write(BinaryWriter writer)
    {
        writer.Write(BitConverter.GetBytes(First));
        writer.Write(BitConverter.GetBytes(Last));
    }
}
