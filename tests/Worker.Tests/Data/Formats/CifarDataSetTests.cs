using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Formats;

public sealed class CifarDataSetTests : IDisposable
{
    private const int ImageBytes = 3 * 32 * 32;

    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("cifar-");

    public void Dispose() => _root.Delete(recursive: true);

    [Theory]
    [InlineData("cifar-10")]
    [InlineData("cifar-10/cifar-10-batches-bin")]
    [InlineData("cifar-10-batches-bin")]
    public void Cifar10_IsFoundAndReadInTheOrderOfItsBatches(string folder)
    {
        for (var batch = 1; batch <= 5; batch++)
            Write($"{folder}/data_batch_{batch}.bin", Records(10, i => [(byte)((batch + i) % 10)]));
        CifarDataSet.IsIn(_root.FullName, DataCatalog.Cifar10).ShouldBeFalse(); // its test part is missing
        Write($"{folder}/test_batch.bin", Records(10, _ => [7]));
        CifarDataSet.IsIn(_root.FullName, DataCatalog.Cifar10).ShouldBeTrue();

        var data = Read(DataCatalog.Cifar10);

        (data.Train.Count, data.Test.Count).ShouldBe((50, 10));
        new[] { 0, 9, 10, 49 }.Select(data.Train.Label).ShouldBe([1, 0, 2, 4]);
        data.Test.Label(9).ShouldBe(7);
        Pixels(data.Train, 11)[..6].ShouldBe([1, 101, 201, 2, 102, 202]); // planes of red, green and blue, interleaved
    }

    [Theory]
    [InlineData("", 99, 100)]
    [InlineData("fine", 99, 100)]
    [InlineData("coarse", 19, 20)]
    public void Cifar100_HasFineAndCoarseLabels(string labels, int label, int classes)
    {
        Write("cifar-100-binary/train.bin", Records(50, _ => [19, 99]));
        Write("cifar-100-binary/test.bin", Records(10, _ => [19, 99]));

        var data = Read(DataCatalog.Cifar100, labels);

        data.Definition.Classes.ShouldBe(classes);
        data.Train.Label(23).ShouldBe(label);
        Pixels(data.Test, 0)[..3].ShouldBe([0, 100, 200]);
    }

    [Fact]
    public void CutFile_IsNamedWithTheBytesThatItShouldHave()
    {
        Write("cifar-100/train.bin", Records(50, _ => [0, 0])[..^1]);
        Write("cifar-100/test.bin", []);

        Should.Throw<DataSetException>(() => Read(DataCatalog.Cifar100))
            .Message.ShouldEndWith("train.bin has 153699 bytes; 50 records of 3074 bytes have 153700");
    }

    [Fact]
    public void WrongLabel_IsFoundAtItsByte()
    {
        Write("cifar-100/train.bin", Records(50, i => [0, (byte)(i == 2 ? 100 : 0)]));
        Write("cifar-100/test.bin", []);

        Should.Throw<DataSetException>(() => Read(DataCatalog.Cifar100))
            .Message.ShouldContain("train.bin, byte 6149: label 100");
    }

    /// <summary>As published but for its number of samples, a thousandth.</summary>
    private ImageDataSet Read(string name, string labels = "") =>
        CifarDataSet.Read(
            DataCatalog.Of(new DataSpec { Name = name, Labels = labels })! with { TrainSamples = 50, TestSamples = 10 }, _root.FullName);

    /// <summary>Record i begins with its labels; the pixels of its planes count up from i, 100 + i and 200 + i.</summary>
    private static byte[] Records(int count, Func<int, byte[]> labels)
    {
        var recordBytes = labels(0).Length + ImageBytes;
        var file = new byte[count * recordBytes];
        for (var i = 0; i < count; i++)
        {
            var record = file.AsSpan(i * recordBytes, recordBytes);
            labels(i).CopyTo(record);
            var planes = record[^ImageBytes..];
            for (var c = 0; c < 3; c++)
                (planes[c * 1024], planes[(c * 1024) + 1]) = ((byte)(i + (100 * c)), (byte)(i + 1 + (100 * c)));
        }

        return file;
    }

    private static byte[] Pixels(ImagePart part, int sample)
    {
        var buffers = new PictureBuffers();
        part.Load(sample, buffers, _ => 1);
        return buffers.Picture.Values.ToArray();
    }

    private void Write(string path, byte[] content)
    {
        var full = Path.Combine(_root.FullName, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllBytes(full, content);
    }
}
