using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Pictures;

public sealed class CroppingRendererTests
{
    private const int Size = 28;

    [Theory]
    [InlineData("random")]
    [InlineData(DataCatalog.RandomResizedCrop)]
    public void Training_FollowsFromSeedEpochAndSample(string crop)
    {
        var view = Render(crop, seed: 1, epoch: 2, sample: 0);

        Render(crop, 1, 2, 0).ShouldBe(view);
        Render(crop, 1, 3, 0).ShouldNotBe(view);
        Render(crop, 2, 2, 0).ShouldNotBe(view);
        Render(crop, 1, 2, 1).ShouldNotBe(view); // the same picture again
    }

    [Fact]
    public void Boxes_HaveTheWantedAreasAndRatiosAllOverThePicture()
    {
        var picture = new PictureSize(375, 500);
        var augmentation = new Augmentation { MinScale = 0.08, MaxRatio = 4 / 3.0 };

        var boxes = Enumerable.Range(0, 2000).Select(i => CropChoice.RandomBox(CounterRandom.Key((ulong)i), picture, augmentation))
            .ToArray();

        boxes.ShouldAllBe(box => box.Left >= 0 && box.Top >= 0 && box.Left + box.Width <= 500 && box.Top + box.Height <= 375);
        var areas = boxes.Select(box => box.Width * box.Height / (375.0 * 500)).ToArray();
        areas.Min().ShouldBeInRange(0.075, 0.1);
        areas.Max().ShouldBeInRange(0.9, 1);
        // 0.54 if uniform from 0.08 to 1, but of the largest many do not fit and are drawn again
        areas.Average().ShouldBeInRange(0.4, 0.54);
        // 3/4 to 4/3, rounded to pixels
        boxes.Select(box => (double)box.Width / box.Height).ShouldAllBe(ratio => ratio > 0.72 && ratio < 1.39);
        boxes.Select(box => box.Left).Max().ShouldBeGreaterThan(300);
    }

    [Theory]
    [InlineData(10, 1000, 493, 0, 13, 10)]
    [InlineData(1000, 10, 0, 493, 10, 13)]
    public void BoxThatFitsNowhere_IsTheMiddle(int height, int width, int left, int top, int boxWidth, int boxHeight) =>
        CropChoice.RandomBox(1, new PictureSize(height, width), new Augmentation { MinScale = 1, MaxRatio = 4 / 3.0 })
            .ShouldBe(new PixelBox(left, top, boxWidth, boxHeight));

    [Fact]
    public void TenCrops_AreTheCornersTheMiddleAndTheirMirrorImages()
    {
        // 30 × 40 pixels resized to 32 × 42, of which 28 × 28 are seen: a picture whose level grows with column and row tells where a crop
        // lies.
        var renderer = Renderer("random", seed: 1, views: 10);
        var output = new float[10 * renderer.ViewElements];
        using var buffers = new PictureBuffers();

        renderer.Views(Visit.Evaluation).ShouldBe(10);
        renderer.Render(new Ramp(), 0, Visit.Evaluation, buffers, output);

        var views = output.Chunk(renderer.ViewElements).ToArray();
        var meanColumn = views.Select(view => view.Average()).ToArray();
        // Over columns 14 lie between left and right, at 2 · 40/42 levels each; over rows 4, at 30/32 level each.
        (meanColumn[1] - meanColumn[0]).ShouldBe(14 * 2 * 40 / 42f, 1f);
        (meanColumn[2] - meanColumn[0]).ShouldBe(4 * 30 / 32f, 1f);
        (meanColumn[3] - meanColumn[2]).ShouldBe(meanColumn[1] - meanColumn[0], 1e-3f);
        meanColumn[4].ShouldBe(meanColumn[..4].Average(), 0.2f);
        for (var view = 0; view < 5; view++)
            views[view + 5].ShouldBe(views[view].Chunk(Size).SelectMany(row => row.Reverse()));
    }

    [Fact]
    public void PcaJitter_ShiftsTheColoursByAsMuchAsTheComponentsSay()
    {
        var shifts = Enumerable.Range(0, 20_000).Select(i =>
        {
            var shift = new double[3];
            PcaJitter.Draw(CounterRandom.Key((ulong)i), 0.1, shift);
            return shift;
        }).ToArray();

        // The variance of red is 0.01 Σ (component · its deviation)²; five standard errors of a variance of 20,000 normals are 5 %.
        var expected = 0.01 * (Math.Pow(0.5675 * 0.2175, 2) + Math.Pow(0.7192 * 0.0188, 2) + Math.Pow(0.4009 * 0.0045, 2));
        shifts.Average(shift => shift[0] * shift[0]).ShouldBe(expected, 0.05 * expected);
        shifts.Average(shift => shift[0]).ShouldBe(0, 5 * Math.Sqrt(expected / 20_000));
        var brightness =
            shifts.Average(shift => shift[0] * shift[1]) / Math.Sqrt(shifts.Average(s => s[0] * s[0]) * shifts.Average(s => s[1] * s[1]));
        brightness.ShouldBeGreaterThan(0.95); // the first component moves all three together
    }

    [Fact]
    public void PcaJitter_IsAddedBeforeNormalization()
    {
        float[] Middle(double jitter) => Render("center", 1, 0, 0, jitter);
        var shift = new double[3];
        PcaJitter.Draw(CounterRandom.Key(1, CounterRandom.Word("augmentation"), 0, 0), 0.5, shift);

        var difference = Middle(0.5).Zip(Middle(0), (with, without) => with - without).ToArray();

        difference[..(Size * Size)].ShouldAllBe(value => Math.Abs(value - (255 * shift[0])) < 0.01); // the deviation is 1/255
    }

    private static float[] Render(string crop, ulong seed, int epoch, int sample, double jitter = 0)
    {
        var renderer = Renderer(crop, seed, views: 1, jitter);
        var output = new float[renderer.ViewElements];
        using var buffers = new PictureBuffers();
        renderer.Render(new Ramp(), sample, new Visit(epoch), buffers, output);
        return output;
    }

    private static CroppingRenderer Renderer(string crop, ulong seed, int views, double jitter = 0) => new(
        ChannelNormalization.Uniform(3, 0, 1 / 255f), shorterSide: 32, Size,
        new Augmentation { Crop = crop, MinScale = 0.08, MaxRatio = 4 / 3.0, PcaJitter = jitter }, views, seed);

    /// <summary>30 × 40 pixels, three channels of the level 2 · column + row.</summary>
    private sealed class Ramp : ImagePart
    {
        public override int Count => 2;

        public override int Label(int sample) => 0;

        public override void Load(int sample, PictureBuffers buffers, Func<PictureSize, double> enough)
        {
            buffers.Picture.Reshape(new PictureSize(30, 40), 3);
            for (var i = 0; i < buffers.Picture.Values.Length; i++)
                buffers.Picture.Values[i] = (byte)((2 * (i / 3 % 40)) + (i / 120));
        }
    }
}
