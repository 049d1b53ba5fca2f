using System.Buffers.Binary;

namespace Cluster.Worker.Data.Pictures;

/// <summary>What a JPEG file's frame header says of the memory that decoding takes: ITU-T T.81, annex B.</summary>
/// <param name="HeldCoefficientBytes">
/// A file whose scans have a part of the picture each, as progressive ones, is held whole as coefficients, two bytes each, before a pixel
/// of it is known, however far it is then shrunk. 0 for others: their rows come one after the other.
/// </param>
internal readonly record struct JpegFrame(long HeldCoefficientBytes)
{
    private const byte StartOfScan = 0xDA;
    private const byte EndOfImage = 0xD9;
    private const byte Progressive = 0xC2;

    /// <summary>Reads the markers up to the first scan. What is damaged in them is left to the decoder to tell.</summary>
    public static JpegFrame Read(ReadOnlySpan<byte> file)
    {
        var (coefficientBytes, components, isProgressive) = (0L, 0, false);
        for (var at = 2; at + 4 <= file.Length;)
        {
            if (file[at] != 0xFF || file[at + 1] is 0xFF or 0 or 1 or (>= 0xD0 and <= 0xD8))
            {
                at++; // padding, or a marker without a segment
                continue;
            }

            var (marker, length) = (file[at + 1], BinaryPrimitives.ReadUInt16BigEndian(file[(at + 2)..]));
            if (marker == EndOfImage || length < 2 || at + 2 + length > file.Length)
                break;
            var segment = file.Slice(at + 4, length - 2);
            if (IsFrame(marker) && segment.Length >= 6 && segment.Length >= 6 + (3 * segment[5]))
                (coefficientBytes, components, isProgressive) = (CoefficientBytes(segment), segment[5], marker == Progressive);
            if (marker == StartOfScan)
                return new JpegFrame(isProgressive || (segment is [var scanned, ..] && scanned < components) ? coefficientBytes : 0);
            at += 2 + length;
        }

        return default;
    }

    private static bool IsFrame(byte marker) => marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC);

    /// <summary>Whole blocks of 8 × 8 for each component, at its own resolution and up to whole units of all components.</summary>
    private static long CoefficientBytes(ReadOnlySpan<byte> frame)
    {
        var (height, width, components) = (
            BinaryPrimitives.ReadUInt16BigEndian(frame[1..]), BinaryPrimitives.ReadUInt16BigEndian(frame[3..]), frame[5]);
        var (mostAcross, mostDown, blocksOfUnit) = (1, 1, 0);
        for (var c = 0; c < components; c++)
        {
            var (across, down) = (frame[7 + (3 * c)] >> 4, frame[7 + (3 * c)] & 15);
            (mostAcross, mostDown, blocksOfUnit) = (Math.Max(mostAcross, across), Math.Max(mostDown, down), blocksOfUnit + (across * down));
        }

        var units = (long)((width + (8 * mostAcross) - 1) / (8 * mostAcross)) * ((height + (8 * mostDown) - 1) / (8 * mostDown));
        return units * blocksOfUnit * 64 * sizeof(short);
    }
}
