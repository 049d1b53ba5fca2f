using Cluster.Dashboard.Files;

namespace Cluster.Dashboard.Tests.Files;

public sealed class CsvTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("say \"hi\"", "\"say \"\"hi\"\"\"")]
    [InlineData("two\nlines", "\"two\nlines\"")]
    [InlineData("=1+1", "'=1+1")]
    [InlineData("@SUM(A1)", "'@SUM(A1)")]
    [InlineData("-0.5", "-0.5")]
    public void Cell_IsQuotedWhereItMustBe_AndNoFormula(string text, string cell) => Csv.Line([text, ""]).ShouldBe($"{cell},\r\n");
}
