namespace Cluster.Contracts.Safetensors;

/// <summary>What reader and writer of the safetensors format have in common.</summary>
/// <remarks>
/// A file is: 8 bytes little-endian header length, a JSON object (name → dtype, shape, data_offsets) padded with blanks to a
/// multiple of 8, then the tensors' bytes, row-major, little-endian, without holes. Format: huggingface/safetensors, README.
/// </remarks>
public static class SafetensorsFormat
{
    /// <summary>The reference implementation's limit; a longer header is an attack or an accident.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    internal const string MetadataKey = "__metadata__";

    /// <summary>Bytes of one element, by the format's names: "F32" → 4.</summary>
    /// <exception cref="InvalidDataException">The name is none of the format's that this system stores.</exception>
    public static int ElementBytes(string dtype) => dtype switch
    {
        "F64" or "I64" => 8,
        "F32" or "I32" => 4,
        "F16" or "BF16" or "I16" => 2,
        "I8" or "U8" or "BOOL" => 1,
        _ => throw new InvalidDataException($"dtype '{dtype}' is none of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL"),
    };

    /// <summary>Bytes of a whole tensor.</summary>
    /// <exception cref="InvalidDataException">A size is negative, or the product leaves the 64-bit range.</exception>
    public static long TensorBytes(string dtype, ReadOnlySpan<long> shape)
    {
        long bytes = ElementBytes(dtype);
        try
        {
            foreach (var size in shape)
                bytes =
                    checked(bytes * (size >= 0 ? size : throw new InvalidDataException($"shape {Shapes.Text(shape)} has a negative size")));
        }
        catch (OverflowException e)
        {
            throw new InvalidDataException($"shape {Shapes.Text(shape)} has more bytes than 64 bits can count", e);
        }

        return bytes;
    }
}

/// <summary>One tensor in a safetensors file.</summary>
/// <param name="DType">"F32", "I64", …</param>
/// <param name="Begin">First byte, counted from the end of the header.</param>
/// <param name="End">One past the last byte.</param>
public sealed record SafetensorsEntry(string Name, string DType, IReadOnlyList<long> Shape, long Begin, long End);
