using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Formats;

/// <summary>CIFAR-10 and CIFAR-100, binary version: records of one or two labels and 3 × 32 × 32 bytes.</summary>
/// <remarks>
/// https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version". CIFAR-100's records begin with the coarse label, then the fine one.
/// The files may lie in <c>dataRoot/NAME</c> or in the folder of the published archive, there or in the data root itself.
/// </remarks>
public static class CifarDataSet
{
    private const int Channels = 3;

    public static bool IsIn(string dataRoot, string name) => Folder(dataRoot, name) is not null;

    /// <summary>Loads the whole set into memory (184 MB).</summary>
    /// <exception cref="DataSetException">Missing or damaged.</exception>
    public static ImageDataSet Read(DataDefinition definition, string dataRoot)
    {
        var (train, test) = Files(definition.Name);
        if (Folder(dataRoot, definition.Name) is not { } folder)
        {
            throw new DataUnavailableException(
                $"{Path.Combine(dataRoot, definition.Name, train[0])} does not exist, nor is it in {ArchiveFolder(definition.Name)}; "
                    + $"unpack the binary version of {definition.Name} on this node");
        }

        return new ImageDataSet(
            definition,
            definition.Name == DataCatalog.Cifar10
                ? new ChannelNormalization([0.4914f, 0.4822f, 0.4465f], [0.2470f, 0.2435f, 0.2616f])
                : new ChannelNormalization([0.5071f, 0.4865f, 0.4409f], [0.2673f, 0.2564f, 0.2762f]),
            ReadPart(folder, train, definition.TrainSamples, definition),
            ReadPart(folder, [test], definition.TestSamples, definition));
    }

    private static (string[] Train, string Test) Files(string name) => name == DataCatalog.Cifar10
        ? ([.. Enumerable.Range(1, 5).Select(batch => $"data_batch_{batch}.bin")], "test_batch.bin")
        : (["train.bin"], "test.bin");

    private static string ArchiveFolder(string name) => name == DataCatalog.Cifar10 ? "cifar-10-batches-bin" : "cifar-100-binary";

    private static string? Folder(string dataRoot, string name)
    {
        var (train, test) = Files(name);
        string[] candidates =
            [Path.Combine(dataRoot, name), Path.Combine(dataRoot, name, ArchiveFolder(name)), Path.Combine(dataRoot, ArchiveFolder(name))];
        return candidates.FirstOrDefault(folder => train.Append(test).All(file => File.Exists(Path.Combine(folder, file))));
    }

    private static StoredPart ReadPart(string folder, string[] files, int samples, DataDefinition definition)
    {
        var planeBytes = definition.Height * definition.Width;
        var pixels = new byte[samples * planeBytes * Channels];
        var labels = new byte[samples];
        var samplesPerFile = samples / files.Length;
        for (var i = 0; i < files.Length; i++)
        {
            var first = i * samplesPerFile;
            ReadFile(
                Path.Combine(folder, files[i]), definition,
                labels.AsSpan(first, samplesPerFile), pixels.AsSpan(first * planeBytes * Channels, samplesPerFile * planeBytes * Channels));
        }

        return new StoredPart(new PictureSize(definition.Height, definition.Width), Channels, pixels, labels);
    }

    private static void ReadFile(string path, DataDefinition definition, Span<byte> labels, Span<byte> pixels)
    {
        var labelBytes = definition.Name == DataCatalog.Cifar10 ? 1 : 2;
        var labelAt = definition.Classes == 100 ? 1 : 0; // of cifar-100's two the second is the fine one
        var planeBytes = definition.Height * definition.Width;
        var record = new byte[labelBytes + (planeBytes * Channels)];
        try
        {
            using var file = DataFolder.OpenFile(path);
            if (file.Length != (long)labels.Length * record.Length)
                throw new DataSetException($"{path} has {file.Length} bytes; {labels.Length} records of {record.Length} bytes have "
                    + $"{(long)labels.Length * record.Length}");
            for (var i = 0; i < labels.Length; i++)
            {
                file.ReadExactly(record);
                labels[i] = record[labelAt];
                if (labels[i] >= definition.Classes)
                {
                    throw new DataSetException(
                        $"{path}, byte {((long)i * record.Length) + labelAt}: label {labels[i]}; "
                            + $"{definition.Name} has classes 0 to {definition.Classes - 1} here");
                }

                Interleave(record.AsSpan(labelBytes), pixels.Slice(i * planeBytes * Channels, planeBytes * Channels));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DataFolder.Unreadable(path, e);
        }
    }

    /// <summary>(3, H·W) → (H·W, 3).</summary>
    private static void Interleave(ReadOnlySpan<byte> planes, Span<byte> pixels)
    {
        var planeBytes = planes.Length / Channels;
        for (var p = 0; p < planeBytes; p++)
        {
            for (var c = 0; c < Channels; c++)
                pixels[(p * Channels) + c] = planes[(c * planeBytes) + p];
        }
    }
}
