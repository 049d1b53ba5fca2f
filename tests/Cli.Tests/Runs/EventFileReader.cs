using System.Buffers.Binary;
using System.Text;

namespace Cluster.Cli.Tests.Runs;

/// <param name="Tag">Null: the event has no value.</param>
internal sealed record ReadEvent(double WallTime, long Step, string? FileVersion, string? Tag, float Value);

/// <summary>
/// TensorFlow's record format and the protobuf of Event, read by what is written about them and with nothing of what writes them here: the
/// CRC bit by bit, fields by hand.
/// </summary>
internal static class EventFileReader
{
    public static List<ReadEvent> Read(ReadOnlySpan<byte> file)
    {
        // The check value of CRC-32C.
        Crc32C("123456789"u8).ShouldBe(0xE3069283u);
        var events = new List<ReadEvent>();
        while (file.Length > 0)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
            BinaryPrimitives.ReadUInt32LittleEndian(file[8..]).ShouldBe(Masked(file[..8]), "the length's checksum");
            var data = file.Slice(12, length);
            BinaryPrimitives.ReadUInt32LittleEndian(file[(12 + length)..]).ShouldBe(Masked(data), "the data's checksum");
            events.Add(Event(data));
            file = file[(16 + length)..];
        }

        return events;
    }

    private static ReadEvent Event(ReadOnlySpan<byte> data)
    {
        var read = new ReadEvent(0, 0, null, null, 0);
        while (data.Length > 0)
        {
            var tag = Varint(ref data);
            switch (tag)
            {
                case (1 << 3) | 1:
                    read = read with { WallTime = BinaryPrimitives.ReadDoubleLittleEndian(Take(ref data, 8)) };
                    break;
                case 2 << 3:
                    read = read with { Step = (long)Varint(ref data) };
                    break;
                case (3 << 3) | 2:
                    read = read with { FileVersion = Encoding.UTF8.GetString(Bytes(ref data)) };
                    break;
                case (5 << 3) | 2:
                    var summary = Bytes(ref data);
                    Varint(ref summary).ShouldBe((1u << 3) | 2u);
                    var (name, value) = Value(Bytes(ref summary));
                    summary.Length.ShouldBe(0);
                    read = read with { Tag = name, Value = value };
                    break;
                default:
                    throw new InvalidDataException($"Event has no field of tag {tag}");
            }
        }

        return read;
    }

    private static (string Tag, float Value) Value(ReadOnlySpan<byte> data)
    {
        Varint(ref data).ShouldBe((1u << 3) | 2u);
        var name = Encoding.UTF8.GetString(Bytes(ref data));
        Varint(ref data).ShouldBe((2u << 3) | 5u);
        var value = BinaryPrimitives.ReadSingleLittleEndian(Take(ref data, 4));
        data.Length.ShouldBe(0);
        return (name, value);
    }

    private static ReadOnlySpan<byte> Bytes(ref ReadOnlySpan<byte> data) => Take(ref data, (int)Varint(ref data));

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> data, int count)
    {
        var taken = data[..count];
        data = data[count..];
        return taken;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> data)
    {
        var (value, shift) = (0UL, 0);
        while (true)
        {
            var one = Take(ref data, 1)[0];
            value |= (ulong)(one & 0x7f) << shift;
            if (one < 0x80)
                return value;
            shift += 7;
        }
    }

    private static uint Masked(ReadOnlySpan<byte> data)
    {
        var crc = Crc32C(data);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }

    private static uint Crc32C(ReadOnlySpan<byte> data)
    {
        const uint reversedPolynomial = 0x82F63B78;
        var crc = 0xFFFFFFFFu;
        foreach (var one in data)
        {
            crc ^= one;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ reversedPolynomial : crc >> 1;
        }

        return ~crc;
    }
}
