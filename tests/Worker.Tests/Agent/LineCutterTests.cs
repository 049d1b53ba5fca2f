using System.Text;
using Cluster.Worker.Agent;

namespace Cluster.Worker.Tests.Agent;

public sealed class LineCutterTests
{
    [Theory]
    [InlineData("a\nb\n", "a", "b")]
    [InlineData("a\r\nb", "a", "b")]
    [InlineData("10%\r20%\r\n", "10%", "20%")]
    [InlineData("\n\n", "", "")]
    [InlineData("")]
    public void Lines_EndAtEveryKindOfLineEnd_HoweverTheBytesAreDealt(string text, params string[] expected)
    {
        Cut(Encoding.UTF8.GetBytes(text), 1).ShouldBe(expected);
        Cut(Encoding.UTF8.GetBytes(text), 1000).ShouldBe(expected);
    }

    [Fact]
    public void ALine_OfMoreThan16KiB_IsCutAndSaysByHowMuch()
    {
        var line = Cut(Encoding.UTF8.GetBytes(new string('x', 20_000) + "\nshort\n"), 777);

        line.Count.ShouldBe(2);
        Encoding.UTF8.GetByteCount(line[0]).ShouldBeLessThanOrEqualTo(LineCutter.MaxLineBytes);
        var kept = line[0].IndexOf('…', StringComparison.Ordinal);
        line[0].ShouldEndWith($"… [{20_000 - kept} bytes cut]");
        line[1].ShouldBe("short");
    }

    [Fact]
    public void ACut_InsideACharacter_LeavesNoHalfOne()
    {
        foreach (var shift in Enumerable.Range(0, 3))
            Cut(Encoding.UTF8.GetBytes(new string('a', shift) + new string('語', 9_000)), 4096).Single().ShouldNotContain("\uFFFD");
    }

    [Fact]
    public void Bytes_ThatAreNoText_StayWithinTheLimit()
    {
        var noise = Enumerable.Repeat((byte)0xFF, 16_000).ToArray();

        Encoding.UTF8.GetByteCount(Cut(noise, 4096).Single()).ShouldBeLessThanOrEqualTo(LineCutter.MaxLineBytes);
        Cut([(byte)'a', 0, (byte)'b'], 8).ShouldBe(["a\uFFFDb"]);
    }

    private static List<string> Cut(byte[] bytes, int portion)
    {
        var lines = new List<string>();
        var cutter = new LineCutter(lines.Add);
        foreach (var part in bytes.Chunk(portion))
            cutter.Add(part);
        cutter.Finish();
        return lines;
    }
}
