using Cluster.Dashboard.Experiments;

namespace Cluster.Dashboard.Tests.Experiments;

public sealed class ParallelAxesTests
{
    [Fact]
    public void Axes_AreWhatDiffers_EachByItsOwnScale_AndTheMetricIsLast()
    {
        var axes = ParallelAxes.Of(
            [
                Trial("a", 0.5, ("opt.lr", "0.001"), ("batch", "32"), ("act", "relu"), ("same", "1")),
                Trial("b", 0.9, ("opt.lr", "0.1"), ("batch", "64"), ("act", "tanh"), ("same", "1")),
                Trial("c", null, ("opt.lr", "0.01"), ("batch", "48"), ("same", "1")),
            ],
            "validation/accuracy", isSmallerBetter: false, mostLines: 10);

        axes.Axes.Select(axis => axis.Name).ShouldBe(["act", "batch", "lr", "validation/accuracy"]);
        axes.Axes[2].Marks.Select(mark => mark.Text).ShouldBe(["0.001", "0.01", "0.1"]);
        axes.Lines.Select(line => line.Id).ShouldBe(["b", "a", "c"]);
        axes.Lines[0].Places.ShouldBe([1, 1, 1, 1]);
        axes.Lines[1].Places.ShouldBe([0, 0, 0, 0]);
        axes.Lines[2].Places.Take(2).ShouldBe([null, 0.5]);
        axes.Lines[2].Places[2]!.Value.ShouldBe(0.5, 1e-9); // of a logarithmic axis
        axes.Lines[2].Places[3].ShouldBeNull();
        axes.Lines.Select(line => line.Standing).ShouldBe([0, 1, null]);
    }

    [Fact]
    public void OfMoreTrialsThanCanBeDrawn_TheBestAre_AndDivergedOnesComeLast()
    {
        var axes = ParallelAxes.Of(
            [Trial("nan", double.NaN, ("x", "1")), Trial("worse", 2, ("x", "2")), Trial("best", 1, ("x", "3"))],
            "validation/loss", isSmallerBetter: true, mostLines: 2);

        axes.Lines.Select(line => line.Id).ShouldBe(["best", "worse"]);
    }

    [Fact]
    public void AxesOfOneNameForShort_HaveTheirWholePaths() => ParallelAxes.Of(
            [
                Trial("a", 1, ("model.name", "lenet5"), ("opt.name", "sgd"), ("opt.decay", "1"), ("lr.decay", "1"), ("lr.end", "1")),
                Trial("b", 2, ("model.name", "vgg11"), ("opt.name", "adam"), ("opt.decay", "2"), ("lr.decay", "2"), ("lr.end", "2")),
            ],
            "m", isSmallerBetter: true, mostLines: 100)
        .Axes.Select(axis => axis.Name).ShouldBe(["lr.decay", "end", "model", "opt.decay", "opt", "m"]);

    [Fact]
    public void SettingOfManyWords_IsLeftOut() => ParallelAxes.Of(
            [.. Enumerable.Range(0, 30).Select(index => Trial($"{index}", index, ("word", $"w{index}"), ("x", $"{index}")))],
            "m", isSmallerBetter: true, mostLines: 100)
        .Axes.Select(axis => axis.Name).ShouldBe(["x", "m"]);

    private static ParallelTrial Trial(string id, double? metric, params (string Setting, string Value)[] settings) =>
        new(id, settings.ToDictionary(setting => setting.Setting, setting => setting.Value), metric);
}
