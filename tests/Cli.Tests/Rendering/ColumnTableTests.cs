using Cluster.Cli.Rendering;

namespace Cluster.Cli.Tests.Rendering;

public sealed class ColumnTableTests
{
    [Fact]
    public void Render_OnATerminal_CutsLinesToItsWidth()
    {
        var table = new ColumnTable("A", "REASON");
        table.Add("1", "a long reason");

        table.Render(width: 10).ShouldBe("A  REASON\n1  a long…\n");
        table.Render(width: null).ShouldBe("A  REASON\n1  a long reason\n");
    }

    [Fact]
    public void Add_OfTextThatATerminalWouldObey_KeepsTheText()
    {
        var table = new ColumnTable("A");
        table.Add("x\u001b[2J\ny");

        table.Render(null).ShouldBe("A\nx [2J y\n");
    }

    [Fact]
    public void Csv_KeepsEachCellOne_AndEmptyOnesEmpty()
    {
        var table = new ColumnTable("A", "B");
        table.Add("x, y", "");
        table.Add("say \"z\"", "two\nlines");

        table.Csv().ShouldBe("A,B\n\"x, y\",\n\"say \"\"z\"\"\",two lines\n");
    }

    [Fact]
    public void Add_OfTooFewCells_Throws() => Should.Throw<ArgumentException>(() => new ColumnTable("A", "B").Add("1"));

    [Theory]
    [InlineData(-3, "0s")]
    [InlineData(59, "59s")]
    [InlineData(61, "1m 01s")]
    [InlineData(3600, "1h 00m")]
    [InlineData(90000, "1d 01h")]
    public void Length_ReadsAsPeopleSayIt(int seconds, string text) => Words.Length(TimeSpan.FromSeconds(seconds)).ShouldBe(text);
}
