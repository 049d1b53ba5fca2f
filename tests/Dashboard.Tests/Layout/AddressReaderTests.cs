using Cluster.Dashboard.Layout;

namespace Cluster.Dashboard.Tests.Layout;

public sealed class AddressReaderTests
{
    private static readonly string[] Words = ["loss", "accuracy"];

    private readonly AddressReader _address = new();

    [Theory]
    [InlineData("7", 7)]
    [InlineData("1", 1)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void WholeNumber_IsRead(string? text, int? value)
    {
        _address.Whole("page", text, 1, 10).ShouldBe(value);
        _address.Faults.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("0")]
    [InlineData("11")]
    [InlineData("-1")]
    [InlineData("1.0")]
    [InlineData("abc")]
    [InlineData("99999999999999999999")]
    public void WholeNumber_ThatIsNone_IsPassedOver_AndTold(string text)
    {
        _address.Whole("page", text, 1, 10).ShouldBeNull();
        _address.Faults.ShouldBe([$"page={text} is passed over: it is not a whole number from 1 to 10"]);
    }

    [Theory]
    [InlineData("0.5", 0.5)]
    [InlineData("NaN", null)]
    [InlineData("1e400", null)]
    [InlineData("0,5", null)]
    public void Number_IsFinite_AndHasAPoint(string text, double? value) => _address.Number("smooth", text, 0, 1).ShouldBe(value);

    [Fact]
    public void Words_AreTheKnownOnes_InTheirOwnCase_AndTheOthersAreTold()
    {
        _address.Word("curve", "LOSS", Words).ShouldBe("loss");
        _address.Words("columns", "Accuracy,nonsense,accuracy", Words).ShouldBe(["accuracy"]);
        _address.Faults.ShouldBe(["columns=nonsense is passed over: it is not one of loss, accuracy"]);
    }

    [Fact]
    public void Flag_IsTrueOrFalse()
    {
        (_address.Flag("log", "true"), _address.Flag("log", "False"), _address.Flag("log", "1")).ShouldBe((true, false, null));
        _address.Faults.ShouldHaveSingleItem();
    }

    [Fact]
    public void ManyFaults_AndLongOnes_AreToldInPart()
    {
        _address.Words("columns", new string('x', 1_000) + ",a,b,c,d,e,f", Words);

        _address.Faults.Count.ShouldBe(5);
        _address.Faults[0].Length.ShouldBeLessThan(120);
    }
}
