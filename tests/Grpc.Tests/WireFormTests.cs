using Grpc.Core;
using Grpc.Wire;

namespace Cluster.Grpc.Tests;

/// <summary>The small encodings of the protocol.</summary>
public sealed class WireFormTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("plain text ~", "plain text ~")]
    [InlineData("100%", "100%25")]
    [InlineData("ä\n", "%C3%A4%0A")]
    [InlineData("失", "%E5%A4%B1")]
    public void GrpcMessage_IsPercentEncodedUtf8(string text, string encoded)
    {
        PercentEncoding.Encode(text).ShouldBe(encoded);
        PercentEncoding.Decode(encoded).ShouldBe(text);
    }

    [Theory]
    [InlineData("100%", "100%")]
    [InlineData("%zz%41", "%zzA")]
    public void GrpcMessage_ThatIsBadlyEncoded_IsKept(string encoded, string text) => PercentEncoding.Decode(encoded).ShouldBe(text);

    [Theory]
    [InlineData(0, "1n")]
    [InlineData(1, "1m")]
    [InlineData(99_999_999, "99999999m")]
    [InlineData(100_000_001, "100001S")]
    [InlineData(100_000_000_000, "1666667M")]
    public void GrpcTimeout_IsRoundedUpToTheUnitThatFits(long milliseconds, string encoded) =>
        GrpcTimeout.Encode(TimeSpan.FromMilliseconds(milliseconds)).ShouldBe(encoded);

    [Theory]
    [InlineData("5n", 1)]
    [InlineData("3u", 30)]
    [InlineData("2m", 20_000)]
    [InlineData("1S", 10_000_000)]
    [InlineData("1M", 600_000_000)]
    [InlineData("1H", 36_000_000_000)]
    public void GrpcTimeout_IsReadInEveryUnit(string encoded, long ticks) => GrpcTimeout.Decode(encoded).ShouldBe(TimeSpan.FromTicks(ticks));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("5")]
    [InlineData("-1S")]
    [InlineData("1.5S")]
    [InlineData("1d")]
    [InlineData("123456789S")]
    public void GrpcTimeout_ThatIsNone_IsIgnored(string? encoded) => GrpcTimeout.Decode(encoded).ShouldBeNull();

    [Fact]
    public void GrpcTimeout_OfTheMostHours_DoesNotOverflow() => GrpcTimeout.Decode("99999999H").ShouldBe(TimeSpan.FromHours(99_999_999));

    [Fact]
    public void Metadata_KeepsOrderAndRepetition_IgnoringTheCaseOfKeys()
    {
        var metadata = new Metadata { { "Key", "1" }, { "other", "x" }, { "KEY", "2" } };
        metadata.Select(entry => entry.Key).ShouldBe(["key", "other", "key"]);
        metadata.GetAll("kEy").Select(entry => entry.Value).ShouldBe(["1", "2"]);
        metadata.GetValue("key").ShouldBe("2", "the last one wins");
        metadata.GetValue("missing").ShouldBeNull();
    }

    [Fact]
    public void Metadata_RefusesWhatNoHeaderMayBe()
    {
        Should.Throw<ArgumentException>(() => new Metadata.Entry("with space", "x"));
        Should.Throw<ArgumentException>(() => new Metadata.Entry("", "x"));
        Should.Throw<ArgumentException>(() => new Metadata.Entry("a-bin", "text"));
        Should.Throw<ArgumentException>(() => new Metadata.Entry("a", [1]));
        Should.Throw<InvalidOperationException>(() => new Metadata.Entry("a-bin", [1]).Value);
        Should.Throw<InvalidOperationException>(() => Metadata.Empty.Add("a", "b"));
    }

    [Theory]
    [InlineData("AP8B", new byte[] { 0, 255, 1 })]
    [InlineData("AP8", new byte[] { 0, 255 })]
    [InlineData("AA", new byte[] { 0 })]
    [InlineData("", new byte[0])]
    public void BinaryHeader_NeedsNoPadding(string value, byte[] bytes)
    {
        var metadata = new Metadata();
        GrpcHeaders.Decode(metadata, "x-bin", value);
        metadata.GetValueBytes("x-bin").ShouldBe(bytes);
    }

    [Fact]
    public async Task MessageReader_ReadsWhateverTheChunks()
    {
        var marshaller = Marshallers.Create<byte[]>(bytes => bytes, bytes => bytes);
        byte[][] messages = [[], [1], new byte[5000], [2, 3], new byte[20_000], [4]];
        messages[2][4999] = 7;
        messages[4][19_999] = 9;
        var body = messages.SelectMany(message => RawCalls.Frame(message)).ToArray();
        foreach (var chunk in new[] { 1, 3, 4096, 7000, body.Length })
        {
            var reader = new MessageReader(new ChunkedStream(body, chunk), maxMessageSize: null, encoding: null);
            foreach (var message in messages)
                (await reader.ReadAsync(marshaller, TestContext.Current.CancellationToken)).ShouldBe(message);
            (await reader.ReadAsync(marshaller, TestContext.Current.CancellationToken)).ShouldBeNull();
        }
    }

    /// <summary>Gives at most so many bytes a read, as a network does.</summary>
    private sealed class ChunkedStream(byte[] bytes, int chunk) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(chunk, buffer.Length)], cancellationToken);
    }
}
