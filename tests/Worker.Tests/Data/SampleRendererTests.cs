using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;

namespace Cluster.Worker.Tests.Data;

public sealed class SampleRendererTests
{
    private static readonly DataDefinition Tiny =
        new("tiny", Channels: 1, Height: 3, Width: 3, Classes: 2, TrainSamples: 1, TestSamples: 1, DefaultValidationSamples: 0, IsGenerated: true, "");

    private static readonly byte[] Image = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    [Fact]
    public void Plain_CopiesAndNormalizes()
    {
        Render(SampleView.Plain, size: 3).ShouldBe([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        var renderer = new SampleRenderer(Tiny, new PixelNormalization(0.5f, 0.25f), 3);
        var output = new float[9];
        renderer.Render(Image, SampleView.Plain, output);
        output[0].ShouldBe(((1 / 255f) - 0.5f) / 0.25f);
    }

    [Fact]
    public void Shift_MovesTheImageAndFillsWithBackground()
    {
        Render(new SampleView(1, 0, Flip: false), 3).ShouldBe([2, 3, 0, 5, 6, 0, 8, 9, 0]);
        Render(new SampleView(0, -1, Flip: false), 3).ShouldBe([0, 0, 0, 1, 2, 3, 4, 5, 6]);
        Render(new SampleView(-3, 3, Flip: false), 3).ShouldAllBe(v => v == 0);
    }

    [Fact]
    public void Flip_MirrorsAfterTheShift()
    {
        Render(new SampleView(0, 0, Flip: true), 3).ShouldBe([3, 2, 1, 6, 5, 4, 9, 8, 7]);
        Render(new SampleView(1, 0, Flip: true), 3).ShouldBe([0, 3, 2, 0, 6, 5, 0, 9, 8]);
    }

    [Fact]
    public void LargerInput_CentresTheImageOnBackground() =>
        Render(SampleView.Plain, size: 5).ShouldBe([0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 7, 8, 9, 0, 0, 0, 0, 0, 0]);

    [Fact]
    public void RandomViews_FollowFromSeedEpochAndSample()
    {
        var views = Views(seed: 1, epoch: 2);

        Views(1, 2).ShouldBe(views);
        Views(1, 3).ShouldNotBe(views);
        Views(2, 2).ShouldNotBe(views);
        views.Select(v => v.ShiftX).Distinct().Order().ShouldBe([-2, -1, 0, 1, 2]);
        views.Select(v => v.ShiftY).Distinct().Order().ShouldBe([-2, -1, 0, 1, 2]);
        ((double)views.Count(v => v.Flip)).ShouldBe(500, 5 * Math.Sqrt(250)); // five standard errors of a binomial count

        static SampleView[] Views(ulong seed, int epoch) =>
            [.. Enumerable.Range(0, 1000).Select(sample => SampleView.Random(seed, epoch, sample, cropPadding: 2, flip: true))];
    }

    [Fact]
    public void NoAugmentation_IsPlain() =>
        Enumerable.Range(0, 100).Select(sample => SampleView.Random(1, 1, sample, cropPadding: 0, flip: false)).ShouldAllBe(v => v == SampleView.Plain);

    private static float[] Render(SampleView view, int size)
    {
        var output = new float[size * size];
        new SampleRenderer(Tiny, new PixelNormalization(0, 1 / 255f), size).Render(Image, view, output);
        return [.. output.Select(value => MathF.Round(value))]; // pixel / 255 · 255
    }
}
