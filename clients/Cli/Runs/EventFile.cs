using System.Buffers.Binary;
using System.Numerics;
using Cluster.Contracts.V1;
using Google.Protobuf;
using static Google.Protobuf.WireFormat;

namespace Cluster.Cli.Runs;

/// <summary>A file that TensorBoard reads: records of TensorFlow's form, each an Event of its protobuf.</summary>
/// <remarks>
/// A record is the length of its data in 8 bytes, the masked CRC-32C of these, the data and their masked CRC-32C, all little-endian. Of
/// Event there is written wall_time = 1, step = 2, file_version = 3, and summary = 5 with one value = 1 of tag = 1 and simple_value = 2.
/// </remarks>
internal sealed class EventFile(Stream output)
{
    private const string Version = "brain.Event:2";

    private readonly MemoryStream _event = new();

    /// <summary>The first record; readers know the form by it.</summary>
    /// <param name="time">In seconds since 1970.</param>
    public void WriteVersion(double time) => Write(message =>
    {
        message.WriteTag(1, WireType.Fixed64);
        message.WriteDouble(time);
        message.WriteTag(3, WireType.LengthDelimited);
        message.WriteString(Version);
    });

    public void Write(MetricPoint point)
    {
        // Of single precision, as TensorBoard keeps it; what is not finite stays so.
        var value = (float)point.Value;
        var valueBytes = 1 + CodedOutputStream.ComputeStringSize(point.Name) + 1 + sizeof(float);
        var time = point.Time.ToDateTimeOffset();
        Write(message =>
        {
            message.WriteTag(1, WireType.Fixed64);
            message.WriteDouble((time - DateTimeOffset.UnixEpoch).TotalSeconds);
            message.WriteTag(2, WireType.Varint);
            message.WriteInt64(point.Step);
            message.WriteTag(5, WireType.LengthDelimited);
            message.WriteLength(1 + CodedOutputStream.ComputeLengthSize(valueBytes) + valueBytes);
            message.WriteTag(1, WireType.LengthDelimited);
            message.WriteLength(valueBytes);
            message.WriteTag(1, WireType.LengthDelimited);
            message.WriteString(point.Name);
            message.WriteTag(2, WireType.Fixed32);
            message.WriteFloat(value);
        });
    }

    private void Write(Action<CodedOutputStream> write)
    {
        _event.SetLength(0);
        using (var message = new CodedOutputStream(_event, leaveOpen: true))
            write(message);
        var data = _event.GetBuffer().AsSpan(0, (int)_event.Length);
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(head, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], MaskedCrc(head[..8]));
        Span<byte> foot = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(foot, MaskedCrc(data));
        output.Write(head);
        output.Write(data);
        output.Write(foot);
    }

    /// <summary>Turned and moved, so that the CRC of data that hold CRCs is still worth something.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var one in data)
            crc = BitOperations.Crc32C(crc, one);
        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8u;
    }
}
