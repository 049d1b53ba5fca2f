using System.Buffers.Binary;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>CRC-32 bit by bit, so that a test can write PNG chunks that are wrong in nothing but what it is about.</summary>
internal static class Crc
{
    /// <summary>Makes the checksum of a chunk right.</summary>
    public static void Repair(byte[] png, int chunkAt)
    {
        var length = (int)BinaryPrimitives.ReadUInt32BigEndian(png.AsSpan(chunkAt));
        BinaryPrimitives.WriteUInt32BigEndian(png.AsSpan(chunkAt + 8 + length), Of(png.AsSpan(chunkAt + 4, length + 4)));
    }

    private static uint Of(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
        }

        return ~crc;
    }
}
