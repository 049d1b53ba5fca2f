using System.Buffers.Binary;
using System.Text.Json;

namespace Cluster.Contracts.Safetensors;

/// <summary>Lays tensors out as a safetensors file.</summary>
public static class SafetensorsWriter
{
    /// <summary>
    /// The file's beginning, up to the tensors' bytes, for tensors that follow in the order of <see cref="DataOrder"/>.
    /// PyTorch's loaders expect the metadata <c>format: pt</c>.
    /// </summary>
    public static byte[] Header(IReadOnlyList<(string Name, string DType, long[] Shape)> tensorsInDataOrder)
    {
        using var json = new MemoryStream();
        json.Write(stackalloc byte[sizeof(long)]);
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            writer.WriteStartObject(SafetensorsFormat.MetadataKey);
            writer.WriteString("format", "pt");
            writer.WriteEndObject();
            var begin = 0L;
            foreach (var (name, dtype, shape) in tensorsInDataOrder)
            {
                var end = begin + SafetensorsFormat.TensorBytes(dtype, shape);
                writer.WriteStartObject(name);
                writer.WriteString("dtype", dtype);
                WriteArray(writer, "shape", shape);
                WriteArray(writer, "data_offsets", [begin, end]);
                writer.WriteEndObject();
                begin = end;
            }

            writer.WriteEndObject();
        }

        while (json.Length % sizeof(long) != 0)
            json.WriteByte((byte)' ');
        var header = json.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - sizeof(long));
        return header;
    }

    /// <summary>Wider elements first, so that every tensor of the file is aligned to its element; then by name.</summary>
    public static IOrderedEnumerable<T> DataOrder<T>(IEnumerable<T> tensors, Func<T, string> dtype, Func<T, string> name) =>
        tensors.OrderByDescending(tensor => SafetensorsFormat.ElementBytes(dtype(tensor))).ThenBy(name, StringComparer.Ordinal);

    private static void WriteArray(Utf8JsonWriter writer, string key, ReadOnlySpan<long> values)
    {
        writer.WriteStartArray(key);
        foreach (var value in values)
            writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }
}
