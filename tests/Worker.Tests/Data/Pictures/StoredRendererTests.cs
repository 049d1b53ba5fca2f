using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

public sealed class StoredRendererTests
{
    private static readonly byte[] Image = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    [Fact]
    public void Plain_CopiesAndNormalizes()
    {
        Render(SampleView.Plain, size: 3).ShouldBe([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        var output = new float[9];
        Renderer(ChannelNormalization.Uniform(1, 0.5f, 0.25f), 3).Render(Nine(), SampleView.Plain, output);
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
        Enumerable.Range(0, 100).Select(sample => SampleView.Random(1, 1, sample, cropPadding: 0, flip: false))
            .ShouldAllBe(v => v == SampleView.Plain);

    [Fact]
    public void Colours_AreNormalizedEachByItself_AndComeInPlanes()
    {
        var picture = new Picture();
        picture.Reshape(new PictureSize(1, 2), 3);
        new byte[] { 10, 20, 30, 40, 50, 60 }.CopyTo(picture.Values);
        var output = new float[3 * 4];

        Renderer(new ChannelNormalization([0f, 0f, 0f], [1 / 255f, 2 / 255f, 10 / 255f]), 2)
            .Render(picture, new SampleView(0, 0, Flip: true), output);

        output.Select(value => MathF.Round(value)).ShouldBe([40, 10, 0, 0, 25, 10, 0, 0, 6, 3, 0, 0]);
    }

    private static float[] Render(SampleView view, int size)
    {
        var output = new float[size * size];
        Renderer(ChannelNormalization.Uniform(1, 0, 1 / 255f), size).Render(Nine(), view, output);
        return [.. output.Select(value => MathF.Round(value))]; // pixel / 255 · 255
    }

    private static StoredRenderer Renderer(ChannelNormalization normalization, int size) =>
        new(normalization, size, new Augmentation(), seed: 1);

    private static Picture Nine()
    {
        var picture = new Picture();
        picture.Reshape(new PictureSize(3, 3), 1);
        Image.CopyTo(picture.Values);
        return picture;
    }
}
