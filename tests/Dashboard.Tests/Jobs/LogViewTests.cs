using Bunit;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Jobs;
using Microsoft.Extensions.Logging;

namespace Cluster.Dashboard.Tests.Jobs;

public sealed class LogViewTests : BunitContext
{
    private static readonly LogLine[] Lines =
    [
        new() { Sequence = 1, Attempt = 1, Rank = 0, Text = "epoch 1" },
        new() { Sequence = 2, Attempt = 1, Rank = 1, Text = "Warning: a slow disk" },
        new() { Sequence = 3, Attempt = 1, Rank = 0, Text = "it was killed", Stream = LogStream.Agent },
    ];

    [Theory]
    [InlineData("Information", "", 3)]
    [InlineData("Warning", "", 2)]
    [InlineData("Error", "", 1)]
    [InlineData("Information", "DISK", 1)]
    [InlineData("Error", "disk", 0)]
    public void Lines_AreShownByLevelAndSearch(string level, string text, int count)
    {
        var (isChosen, chosenText, chosenLevel) = (false, "", LogLevel.Information);
        var view = Render<LogView>(parameters => parameters.Add(log => log.Lines, Lines).Add(log => log.OnChoose, chosen =>
            (isChosen, chosenText, chosenLevel) = (true, chosen.Text, chosen.Level)));

        view.Find("select").Change(level);
        view.Render(parameters => parameters.Add(log => log.Level, chosenLevel));
        view.Find("input").Input(text);
        view.Render(parameters => parameters.Add(log => log.Text, chosenText));

        isChosen.ShouldBeTrue();
        chosenLevel.ToString().ShouldBe(level);
        view.FindAll(".line").Count.ShouldBe(count);
    }

    [Fact]
    public void Line_SaysWhoseItIs()
    {
        var view = Render<LogView>(parameters => parameters.Add(log => log.Lines, Lines));

        view.FindAll(".origin").Select(origin => origin.TextContent).ShouldBe(["1/0", "1/1", "1/0 agent"]);
    }
}
