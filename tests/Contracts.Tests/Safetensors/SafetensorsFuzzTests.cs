using System.Text;
using Cluster.Contracts.Safetensors;
using FsCheck;
using FsCheck.Fluent;

namespace Cluster.Contracts.Tests.Safetensors;

/// <summary>Headers from strangers: each is read, and then describes its file exactly, or is refused with a reason.</summary>
public sealed class SafetensorsFuzzTests
{
    private static readonly byte[] Sound = SafetensorsWriter.Header(
        [("position", "I64", []), ("conv1.weight", "F32", [6, 1, 5, 5]), ("fc.bias", "BF16", [3])])[8..];

    private const long DataBytes = 8 + 600 + 6;
    private const int LongestMessage = 2000;

    // Some hundred bytes of text may take no more.
    private const long MostBytes = 1 << 20;

    /// <summary>Bytes of a sound header changed, taken out and put in.</summary>
    [Fact]
    public void ADamagedHeader_IsReadOrRefused() =>
        Prop.ForAll(Damages().ToArbitrary(), damages => ReadOrRefuse(Apply(damages))).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    /// <summary>Pieces of headers in any order reach the parser's corners more often than bytes do.</summary>
    [Fact]
    public void PiecesOfHeaders_AreReadOrRefused() =>
        Prop.ForAll(Pieces().ToArbitrary(), text => ReadOrRefuse(Encoding.UTF8.GetBytes(text)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    [Theory]
    [InlineData("é.weight")]
    [InlineData("a\\u0000b")]
    [InlineData("a\\nb")]
    [InlineData("")]
    public void AName_ThatNoParameterHas_IsRefused(string name) => Should.Throw<InvalidDataException>(
        () => SafetensorsReader.ParseHeader(
            Encoding.UTF8.GetBytes($$$"""{"{{{name}}}":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"""), 8))
        .Message.ShouldContain("is no parameter's");

    /// <summary>What is wrong with a tensor is said with its name and shape, which may be as long as the header.</summary>
    [Theory]
    [InlineData("name")]
    [InlineData("dtype")]
    [InlineData("shape")]
    [InlineData("data_offsets")]
    [InlineData("twice")]
    public void AHugeText_IsRefusedInAFewWords(string what)
    {
        var (name, many) = (new string('a', 1_000_000), string.Join(',', Enumerable.Repeat("1", 1_000_000)));
        var tensor = $$"""
            "{{(what is "name" or "twice" ? name : "a")}}":{"dtype":"{{(what == "dtype" ? name : "F32")}}",
            "shape":[{{(what == "shape" ? many : "2")}}],"data_offsets":[{{(what == "data_offsets" ? many : "0,8")}}]}
            """;
        var json = Encoding.UTF8.GetBytes(what == "twice" ? $"{{\"__metadata__\":{{}},{tensor},{tensor}}}" : $"{{{tensor}}}");

        Should.Throw<InvalidDataException>(() => SafetensorsReader.ParseHeader(json, 8)).Message.Length.ShouldBeLessThan(1000);
    }

    /// <summary>The same two, longer.</summary>
    [Fact]
    [Trait("Round", "full")]
    public void ManyDamagedHeaders_AreReadOrRefused()
    {
        Prop.ForAll(Damages().ToArbitrary(), damages => ReadOrRefuse(Apply(damages))).Check(Config.QuickThrowOnFailure.WithMaxTest(15_000));
        Prop.ForAll(Pieces().ToArbitrary(), text => ReadOrRefuse(Encoding.UTF8.GetBytes(text)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    private static void ReadOrRefuse(byte[] json)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var entries = SafetensorsReader.ParseHeader(json, DataBytes);
            var end = 0L;
            foreach (var entry in entries)
            {
                entry.Begin.ShouldBe(end);
                end = entry.End;
                (end - entry.Begin).ShouldBe(SafetensorsFormat.TensorBytes(entry.DType, [.. entry.Shape]));
            }

            end.ShouldBe(DataBytes);
            entries.Select(entry => entry.Name).ShouldBeUnique();
        }
        catch (InvalidDataException refused)
        {
            refused.Message.Length.ShouldBeInRange(1, LongestMessage);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(MostBytes);
    }

    private static byte[] Apply(IEnumerable<(int At, int Kind, byte Value)> damages)
    {
        var bytes = Sound.ToList();
        foreach (var (at, kind, value) in damages.Where(_ => bytes.Count > 0))
        {
            var place = at % bytes.Count;
            if (kind == 0)
                bytes[place] = value;
            else if (kind == 1)
                bytes.RemoveAt(place);
            else
                bytes.Insert(place, value);
        }

        return [.. bytes];
    }

    private static Gen<List<(int At, int Kind, byte Value)>> Damages() =>
        from damages in (from at in Gen.Choose(0, 1000)
                         from kind in Gen.Choose(0, 2)
                         from value in Gen.Elements("0129[]{}\",:-.eE \\ut\x00\xffn"u8.ToArray())
                         select (at, kind, value)).ListOf()
        select damages.Take(4).ToList();

    private static Gen<string> Pieces() =>
        from pieces in Gen.Elements(
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"dtype\"", "\"F32\"", "\"shape\"", "\"data_offsets\"", "[0,8]", "[2]", "[-1]",
            "[9223372036854775807,2]", "1e400", "null", "{\"a\":",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "\"__metadata__\"", "0", "1.5").ListOf()
        select string.Concat(pieces);
}
