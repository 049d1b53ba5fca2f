namespace Cluster.Contracts.Tests;

public sealed class IdTests
{
    private const string Text = "0f3c9a1b-77e2-4c01-9d8e-0123456789ab";

    [Fact]
    public void Parse_ReadsWhatToStringWrites()
    {
        JobId.Parse(Text).ToString().ShouldBe(Text);
        NodeId.Parse(Text.ToUpperInvariant()).ToString().ShouldBe(Text);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0f3c9a1b")]
    [InlineData("0f3c9a1b77e24c019d8e0123456789ab")]
    [InlineData("{0f3c9a1b-77e2-4c01-9d8e-0123456789ab}")]
    public void TryParse_OfAnythingButTheDashedForm_Fails(string? text)
    {
        JobId.TryParse(text, out _).ShouldBeFalse();
        NodeId.TryParse(text, out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData("0f3c", "0f3c")]
    [InlineData("0F3C9A1B", "0f3c9a1b")]
    [InlineData("0f3c9a1b7", "0f3c9a1b-7")]
    [InlineData("0f3c9a1b-77e2-4", "0f3c9a1b-77e2-4")]
    [InlineData("0f3c9a1b77e24c019d8e0123456789ab", Text)]
    public void Prefix_TakesDashesAndCaseAsTheyCome(string typed, string text)
    {
        IdPrefix.TryParse(typed, out var prefix).ShouldBeTrue();
        prefix.Text.ShouldBe(text);
        prefix.Matches(Guid.Parse(Text)).ShouldBeTrue();
        prefix.IsWhole.ShouldBe(text.Length == Text.Length);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0f3")]
    [InlineData("0-f-3")]
    [InlineData("0f3g")]
    [InlineData("0f3c%")]
    [InlineData("0f3c9a1b77e24c019d8e0123456789ab0")]
    public void Prefix_OfTooFewOrTooManyDigitsOrOtherCharacters_Fails(string? typed) => IdPrefix.TryParse(typed, out _).ShouldBeFalse();

    [Fact]
    public void Prefix_OfAnotherId_DoesNotMatch()
    {
        IdPrefix.TryParse("0f3d", out var prefix).ShouldBeTrue();
        prefix.Matches(Guid.Parse(Text)).ShouldBeFalse();
    }
}
