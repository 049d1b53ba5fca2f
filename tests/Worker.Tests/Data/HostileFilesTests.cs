using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data;

/// <summary>
/// Damaged and malicious files: a broken picture or a data set that is refused, never a crash, a hang or the node's memory.
/// </summary>
public sealed class HostileFilesTests(PilPictures pictures) : IClassFixture<PilPictures>
{
    // A picture that passes for whole is at most as large as the one that was damaged claims to be: 500 × 375, or what a flipped size still
    // makes credible.
    private const long MaxBytes = 3 * DataCatalog.DefaultMaxImagePixels;

    private static readonly string[] Whole =
    [
        "photo.jpg", "progressive.jpg", "cmyk.jpg", "colours.png", "palette.png", "deep.png", "two-tones.png",
        "kind-6-16-interlaced.png", "kind-3-4-interlaced.png",
    ];

    [Fact]
    public void DamagedPictures_AreBrokenOrWhole() => Damage(rounds: 300, seed: 1);

    [Fact]
    [Trait("Round", "full")]
    public void ManyDamagedPictures_AreBrokenOrWhole() => Damage(rounds: 50_000, seed: 2);

    [Theory]
    [InlineData(60_000, 60_000, "claims 60000×60000 pixels, which its")]
    [InlineData(0, 5, "claims 5×0 pixels; from 1 to")]
    [InlineData(1, 2_000_000, "from 1 to 1000000 a side are read")]
    [InlineData(2_000_000, 1, "from 1 to 1000000 a side are read")]
    [InlineData(8_000, 8_000, "claims 8000×8000 pixels, which its")]
    [InlineData(300, 300, "claims 300×300 pixels, which its")] // as many of one bit it could
    public void Png_OfAnAbsurdSize_IsBrokenBeforeAnythingIsReserved(int height, int width, string says)
    {
        var file = Png.Of(new PictureSize(height, width), depth: 8, colours: 2, rows: [1, 2, 3]);

        RefusedAtOnce(file, 3, says);
    }

    [Fact]
    public void Png_OfMoreRowsThanItsHeaderSays_IsNotUnpackedToItsEnd()
    {
        var bomb = Png.Of(new PictureSize(1, 1), depth: 8, colours: 0, rows: new byte[50_000_000]);

        RefusedAtOnce(bomb, 1, "more rows");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Png_ReservesItsPictureAndAFewRows_AndNothingForTheNext(bool interlaced)
    {
        var size = new PictureSize(Height: 40, Width: 30_000);
        const int SomeKiB = 1 << 16; // what unpacks
        var (file, again) = (Png.Of(size, interlaced, (y, x) => (byte)(x ^ y)), Png.Of(size, interlaced, (_, _) => 7));
        using var buffers = new PictureBuffers();
        var memory = new PictureMemory(long.MaxValue);
        buffers.BeginSample(memory);

        Collected(() => Decode(file)).ShouldBeLessThan(SomeKiB);
        Collected(() => Decode(again)).ShouldBeLessThan(SomeKiB);
        memory.PeakBytes.ShouldBe(3 * size.Pixels); // rows are too short to be counted

        void Decode(byte[] png) => buffers.Decoder.Decode(png, 3, _ => 1, DataCatalog.DefaultMaxImagePixels, buffers.Picture);
    }

    [Fact]
    public void Jpeg_OfAnAbsurdSize_IsBrokenBeforeAnythingIsReserved()
    {
        var file = pictures.File("photo.jpg");
        var frame = file.AsSpan().IndexOf([(byte)0xFF, (byte)0xC0]);
        (file[frame + 5], file[frame + 6], file[frame + 7], file[frame + 8]) = (0xFF, 0xDC, 0xFF, 0xDC);

        RefusedAtOnce(file, 3, "claims 65500×65500 pixels");
    }

    [Fact]
    public void DamagedShards_AreRefusedOrRead()
    {
        using var folder = new PictureFolder();
        folder.WriteTar("val-0.tar", ("0.png", Png.Of(new PictureSize(3, 3), 1)), ("0.cls", [.. "1"u8]));
        var whole = File.ReadAllBytes(folder.Path("val-0.tar"));
        var random = new Random(3);
        for (var round = 0; round < 300; round++)
        {
            folder.Write("train-0.tar", Damaged(whole, random));
            try
            {
                var train = TarShards.Open(folder.Root, PictureFolder.Name, classes: 2, new Decoding(3)).Train;
                for (var sample = 0; sample < train.Count; sample++)
                    Load(train, sample);
            }
            catch (DataSetException refused)
            {
                refused.Message.ShouldContain("train-0.tar");
            }
        }
    }

    [Fact]
    public void DamagedCifar_IsRefusedOrRead()
    {
        var root = Directory.CreateTempSubdirectory("cifar-");
        try
        {
            var folder = root.CreateSubdirectory("cifar-100").FullName;
            var definition = DataCatalog.All.Single(data => data.Name == DataCatalog.Cifar100) with { TrainSamples = 4, TestSamples = 1 };
            File.WriteAllBytes(Path.Combine(folder, "test.bin"), new byte[3074]);
            var random = new Random(4);
            for (var round = 0; round < 300; round++)
            {
                File.WriteAllBytes(Path.Combine(folder, "train.bin"), Damaged(new byte[4 * 3074], random));
                try
                {
                    CifarDataSet.Read(definition, root.FullName).Train.Count.ShouldBe(4);
                }
                catch (DataSetException refused)
                {
                    refused.Message.ShouldContain("train.bin");
                }
            }
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private void Damage(int rounds, int seed)
    {
        var files = Whole.Select(pictures.File).ToArray();
        var random = new Random(seed);
        var broken = 0;
        using var decoder = new PictureDecoder();
        var picture = new Picture();
        for (var round = 0; round < rounds; round++)
        {
            var damaged = Damaged(files[round % files.Length], random);
            if (round % 2 == 0 && damaged.AsSpan().StartsWith(PngHeader.Signature) && damaged.Length > 33
                && damaged.AsSpan(8, 4).SequenceEqual<byte>([0, 0, 0, PngHeader.Bytes]))
                Crc.Repair(damaged, chunkAt: 8); // so that a wrong header gets past its checksum
            try
            {
                decoder.Decode(damaged, 1 + (2 * (round & 1)), size => 1.0 / (1 + (round % 9)), DataCatalog.DefaultMaxImagePixels, picture);
                ((long)picture.Values.Length).ShouldBeLessThanOrEqualTo(MaxBytes);
            }
            catch (BrokenPictureException)
            {
                broken++;
            }
        }

        broken.ShouldBeGreaterThan(rounds / 10); // some damage is only a wrong colour
    }

    /// <summary>Cut short, bytes flipped, a stretch repeated or overwritten.</summary>
    private static byte[] Damaged(byte[] whole, Random random)
    {
        var file = whole.ToArray();
        switch (random.Next(4))
        {
            case 0:
                return file[..random.Next(file.Length)];
            case 1:
                for (var flips = random.Next(1, 8); flips > 0; flips--)
                    file[random.Next(file.Length)] ^= (byte)(1 << random.Next(8));
                return file;
            case 2: // headers are where the sizes stand
                file[random.Next(Math.Min(64, file.Length))] = (byte)random.Next(256);
                return file;
            default:
                var at = random.Next(file.Length);
                random.NextBytes(file.AsSpan(at, Math.Min(random.Next(1, 64), file.Length - at)));
                return file;
        }
    }

    private static void Load(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        try
        {
            part.Load(sample, buffers, _ => 1);
        }
        catch (BrokenPictureException e)
        {
            e.Message.ShouldContain("train-0.tar, the picture at byte");
        }
    }

    /// <summary>Without memory of the size that it claims.</summary>
    private static void RefusedAtOnce(byte[] file, int channels, string says)
    {
        var memory = new PictureMemory(long.MaxValue);
        using var buffers = new PictureBuffers();
        buffers.BeginSample(memory);

        Collected(() => Should.Throw<BrokenPictureException>(
            () => buffers.Decoder.Decode(file, channels, _ => 1, DataCatalog.DefaultMaxImagePixels, buffers.Picture))
            .Message.ShouldContain(says)).ShouldBeLessThan(1 << 22);
        memory.PeakBytes.ShouldBeLessThan(1 << 22);
    }

    private static long Collected(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
