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
    [InlineData(
        """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}""", 12, "needs 8 bytes and has 12")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "begins at byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12,
        "begins at byte 4")]
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
        Should.Throw<InvalidDataException>(() => SafetensorsReader.ParseHeader(Encoding.UTF8.GetBytes(json), dataBytes))
            .Message.ShouldContain(message);

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

        Should.Throw<InvalidDataException>(() => SafetensorsReader.HeaderBytes(bytes, fileBytes))
            .Message.ShouldContain($"claims {claimed} bytes");
    }

    [Theory]
    [InlineData("50 4B 03 04 00 00 08 08", "it is a zip archive, as torch.save")]
    [InlineData("80 02 8A 0A 6C FC 9C 46", "it is a pickle, as torch.save wrote")]
    [InlineData("80 04 95 10 00 00 00 00", "it is a pickle")]
    [InlineData("89 48 44 46 0D 0A 1A 0A", "it is an HDF5 file")]
    [InlineData("93 4E 55 4D 50 59 01 00", "it is a NumPy array")]
    [InlineData("08 07 12 07 70 79 74 6F", "it is an ONNX file")]
    [InlineData("08 08 3A B9 01 0A 2C 0A", "it is an ONNX file")]
    [InlineData("1C 00 00 00 54 46 4C 33", "it is a TensorFlow Lite file")]
    [InlineData("76 65 72 73 69 6F 6E 20", "it is a pointer of Git LFS")]
    [InlineData("3C 21 44 4F 43 54 59 50", "it is a web page")]
    [InlineData("1F 8B 08 00 00 00 00 00", "it is compressed with gzip")]
    public void HeaderBytes_OfAnotherKindOfFile_AreCalledWhatTheyAre(string begin, string said)
    {
        var bytes = Convert.FromHexString(begin.Replace(" ", ""));

        Should.Throw<InvalidDataException>(() => SafetensorsReader.HeaderBytes(bytes, 10_000)).Message.ShouldStartWith(said);
    }

    [Fact]
    public void Header_WithATypeThatIsNotRead_NamesTheTensor() =>
        Should.Throw<InvalidDataException>(
                () => SafetensorsReader.ParseHeader(
                    """{"conv1.weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"""u8.ToArray(), 2))
            .Message.ShouldStartWith("tensor 'conv1.weight': dtype 'F8_E4M3' is none of");

    [Fact]
    public void HeaderBytes_OfAFileOfLessThan8Bytes_AreRefused() =>
        Should.Throw<InvalidDataException>(() => SafetensorsReader.HeaderBytes(new byte[3], 3)).Message.ShouldContain("at least 8 bytes");
}
