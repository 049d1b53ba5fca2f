using System.Buffers.Binary;
using System.Text;
using Cluster.Contracts.Safetensors;

namespace Cluster.Contracts.Tests.Safetensors;

public sealed class SafetensorsTests
{
    private const int Length = sizeof(long);

    [Fact]
    public void Header_ReadBack_DescribesWhatWasWritten()
    {
        var header = SafetensorsWriter.Header([("position", "I64", []), ("conv1.weight", "F32", [6, 1, 5, 5]), ("mask", "BOOL", [3])]);
        const int dataBytes = 8 + 600 + 3;
        var length = SafetensorsReader.HeaderBytes(header, header.Length + dataBytes);
        var entries = SafetensorsReader.ParseHeader(header.AsMemory(Length, length), dataBytes);

        (header.Length % 8).ShouldBe(0);
        entries.Select(entry => (entry.Name, entry.DType, string.Join('x', entry.Shape), entry.Begin, entry.End)).ShouldBe(
            [("position", "I64", "", 0L, 8L), ("conv1.weight", "F32", "6x1x5x5", 8L, 608L), ("mask", "BOOL", "3", 608L, 611L)]);
    }

    [Fact]
    public void DataOrder_PutsWiderElementsFirst() => SafetensorsWriter
        .DataOrder([("b", "U8"), ("c", "F32"), ("a", "F32"), ("d", "F64")], tensor => tensor.Item2, tensor => tensor.Item1)
        .Select(tensor => tensor.Item1).ShouldBe(["d", "a", "c", "b"]);

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}""", 12, "needs 8 bytes and has 12")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "begins at byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "begins at byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "describes 8 bytes of data and the file has 9")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "data_offsets [8, 0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "negative size")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}}""", 8, "64 bits")]
    [InlineData("""{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}""", 8, "dtype 'F99'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", 8, "cannot be read")]
    [InlineData("""{"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}}""", 8, "cannot be read")]
    [InlineData("""{"a":7}""", 8, "cannot be read")]
    [InlineData("""[1,2]""", 8, "cannot be read")]
    [InlineData("""{"a":{"dtype":"F32",""", 8, "cannot be read")]
    [InlineData("""{"a":{"dtype":[[[[[[[[[[1]]]]]]]]]]}}""", 8, "cannot be read")]
    public void ParseHeader_OfAHostileFile_SaysWhatIsWrong(string json, long dataBytes, string message) =>
        Should.Throw<InvalidDataException>(() => SafetensorsReader.ParseHeader(Encoding.UTF8.GetBytes(json), dataBytes)).Message.ShouldContain(message);

    [Theory]
    [InlineData(-1L, 100L)]
    [InlineData(0L, 100L)]
    [InlineData(93L, 100L)]
    [InlineData(long.MaxValue, 100L)]
    [InlineData(200_000_000L, 300_000_000L)]
    public void HeaderBytes_ThatCannotBe_AreRefused(long claimed, long fileBytes)
    {
        var bytes = new byte[Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, claimed);

        Should.Throw<InvalidDataException>(() => SafetensorsReader.HeaderBytes(bytes, fileBytes)).Message.ShouldContain($"claims {claimed} bytes");
    }

    [Fact]
    public void HeaderBytes_OfAFileOfLessThan8Bytes_AreRefused() =>
        Should.Throw<InvalidDataException>(() => SafetensorsReader.HeaderBytes(new byte[3], 3)).Message.ShouldContain("at least 8 bytes");
}
