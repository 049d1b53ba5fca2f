using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Tests.Layout;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(0.12345, "12.35 %")]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "∞")]
    [InlineData(double.NegativeInfinity, "-∞")]
    public void Percent_OfWhatIsNotFinite_IsWhatItIs(double value, string shown) => Figures.Percent(value).ShouldBe(shown);

    [Theory]
    [InlineData("plain\ttext é", "plain\ttext é")]
    [InlineData("\u001b[31mred\r\n\u007f", "␛[31mred␍␊␡")]
    [InlineData("\u0085", "\ufffd")]
    [InlineData("cat\u202egnp.exe", "cat\ufffdgnp.exe")]
    public void Visible_ShowsControlCharacters_AsTheirPictures(string text, string shown) => Figures.Visible(text).ShouldBe(shown);
}
