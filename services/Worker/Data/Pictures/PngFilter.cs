using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Cluster.Worker.Data.Pictures;

/// <summary>Undoes what makes a PNG's rows easier to compress: the specification's §9.</summary>
internal static class PngFilter
{
    /// <summary>Bytes read and written at once, as many as the widest pixel has: rows have room for them behind their end.</summary>
    public const int Reach = 8;

    /// <param name="filter">The row's.</param>
    /// <param name="filtered">The row as stored.</param>
    /// <param name="row">The result.</param>
    /// <param name="above">The result of the row above.</param>
    /// <param name="rowBytes">Of each.</param>
    /// <param name="pixelBytes">From a byte to its left neighbour.</param>
    public static void Undo(
        int filter, ReadOnlySpan<byte> filtered, Span<byte> row, ReadOnlySpan<byte> above, int rowBytes, int pixelBytes)
    {
        switch (filter)
        {
            case 0:
                filtered[..rowBytes].CopyTo(row);
                return;
            case 2:
                TensorPrimitives.Add(filtered[..rowBytes], above[..rowBytes], row);
                return;
            case 1 or 3 or 4:
                UndoFromLeft(filter, filtered, row, above, rowBytes, pixelBytes);
                return;
            default:
                throw new BrokenPictureException($"is a damaged PNG file: filter {filter} is unknown");
        }
    }

    /// <summary>A pixel needs its left neighbour first, so only its own bytes are computed side by side; what is written behind it the
    /// next ones overwrite.</summary>
    private static void UndoFromLeft(
        int filter, ReadOnlySpan<byte> filtered, Span<byte> row, ReadOnlySpan<byte> above, int rowBytes, int pixelBytes)
    {
        var (left, upperLeft) = (Vector128<short>.Zero, Vector128<short>.Zero);
        for (var i = 0; i < rowBytes; i += pixelBytes)
        {
            var upper = Read(above[i..]);
            var predicted = filter switch
            {
                1 => left,
                3 => (left + upper) >>> 1,
                _ => Paeth(left, upper, upperLeft),
            };
            left = (Read(filtered[i..]) + predicted) & Vector128.Create((short)byte.MaxValue);
            upperLeft = upper;
            MemoryMarshal.Write(row[i..], Vector128.Narrow(left, left).AsUInt64().ToScalar());
        }
    }

    private static Vector128<short> Paeth(Vector128<short> left, Vector128<short> upper, Vector128<short> upperLeft)
    {
        var (toLeft, toUpper) = (Vector128.Abs(upper - upperLeft), Vector128.Abs(left - upperLeft));
        var toUpperLeft = Vector128.Abs(left + upper - upperLeft - upperLeft);
        return Vector128.ConditionalSelect(
            Vector128.LessThanOrEqual(toLeft, Vector128.Min(toUpper, toUpperLeft)),
            left,
            Vector128.ConditionalSelect(Vector128.LessThanOrEqual(toUpper, toUpperLeft), upper, upperLeft));
    }

    private static Vector128<short> Read(ReadOnlySpan<byte> bytes) =>
        Vector128.WidenLower(Vector128.CreateScalar(MemoryMarshal.Read<ulong>(bytes)).AsByte()).AsInt16();
}
