using System.Buffers.Binary;
using System.Text.Json;

namespace Cluster.Contracts.Safetensors;

/// <summary>Reads a safetensors header and refuses one that does not describe its file exactly.</summary>
public static class SafetensorsReader
{
    // Of a name; PyTorch's deepest have some 100 characters.
    private const int LongestName = 500;

    // No array library has more.
    private const int MostDims = 64;

    /// <summary>Length of the header's JSON, from the file's first 8 bytes.</summary>
    /// <exception cref="InvalidDataException">It cannot be: negative, past the file's end, or over the format's limit.</exception>
    public static int HeaderBytes(ReadOnlySpan<byte> firstBytes, long fileBytes)
    {
        if (firstBytes.Length < sizeof(long) || fileBytes < sizeof(long))
            throw new InvalidDataException($"a safetensors file has at least 8 bytes, this one {Math.Min(firstBytes.Length, fileBytes)}");
        var length = BinaryPrimitives.ReadInt64LittleEndian(firstBytes);
        if (length is < 2 or > SafetensorsFormat.MaxHeaderBytes || length > fileBytes - sizeof(long))
        {
            throw new InvalidDataException(ForeignFile.NameOf(firstBytes) is { } name
                ? $"it is {name}"
                : $"the safetensors header claims {length} bytes in a file of {fileBytes}");
        }

        return (int)length;
    }

    /// <summary>The tensors that a header describes, in the order of their bytes.</summary>
    /// <param name="json">The header without its length.</param>
    /// <param name="dataBytes">Bytes that follow the header.</param>
    /// <exception cref="InvalidDataException">
    /// Not such an object, a name twice, a shape that does not fit its bytes, or bytes that overlap, leave a hole or lie outside.
    /// </exception>
    public static IReadOnlyList<SafetensorsEntry> ParseHeader(ReadOnlyMemory<byte> json, long dataBytes)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 8 });
            var entries = new List<SafetensorsEntry>();
            var names = new HashSet<string>();
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (!names.Add(property.Name))
                    throw new InvalidDataException($"the safetensors header names '{Begin(property.Name)}' twice");
                if (property.Name != SafetensorsFormat.MetadataKey)
                    entries.Add(Entry(property.Name, property.Value));
            }

            entries.Sort(static (a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
            CheckContiguous(entries, dataBytes);
            return entries;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new InvalidDataException($"the safetensors header cannot be read: {e.Message}", e);
        }
    }

    private static SafetensorsEntry Entry(string name, JsonElement value)
    {
        // Names go into messages, tables and other systems' files; PyTorch's are dotted identifiers.
        if (name.Length is 0 or > LongestName || name.Any(character => character is < ' ' or > '~'))
            throw new InvalidDataException(
                $"'{string.Concat(Begin(name).Where(character => character is >= ' ' and <= '~'))}' is no parameter's name; "
                    + $"give 1 to {LongestName} characters of ASCII");
        var dtype = Begin(value.GetProperty("dtype").GetString()!);
        var dims = value.GetProperty("shape").GetArrayLength();
        if (dims > MostDims)
            throw new InvalidDataException($"tensor '{name}' has {dims} dims; at most {MostDims} are read");
        var shape = value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray();
        var places = value.GetProperty("data_offsets");
        if (places.GetArrayLength() != 2)
            throw new InvalidDataException($"tensor '{name}' has {places.GetArrayLength()} data_offsets; give begin and end");
        var (begin, end) = (places[0].GetInt64(), places[1].GetInt64());
        if (begin < 0 || end < begin)
            throw new InvalidDataException($"tensor '{name}' has data_offsets [{begin}, {end}]");
        var bytes = BytesOf(name, dtype, shape);
        return end - begin == bytes
            ? new SafetensorsEntry(name, dtype, shape, begin, end)
            : throw new InvalidDataException($"tensor '{name}' of {dtype} {Shapes.Text(shape)} needs {bytes} bytes and has {end - begin}");
    }

    // A header's text may be of megabytes, and a message is to be read.
    private static string Begin(string text) => text.Length > LongestName ? text[..LongestName] : text;

    private static long BytesOf(string name, string dtype, long[] shape)
    {
        try
        {
            return SafetensorsFormat.TensorBytes(dtype, shape);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"tensor '{name}': {e.Message}", e);
        }
    }

    private static void CheckContiguous(List<SafetensorsEntry> entries, long dataBytes)
    {
        var end = 0L;
        foreach (var entry in entries)
        {
            if (entry.Begin != end)
                throw new InvalidDataException($"tensor '{entry.Name}' begins at byte {entry.Begin}, where the one before ends at {end}");
            end = entry.End;
        }

        if (end != dataBytes)
            throw new InvalidDataException($"the safetensors header describes {end} bytes of data and the file has {dataBytes}");
    }
}
