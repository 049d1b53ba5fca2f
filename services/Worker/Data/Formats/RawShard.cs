using System.Buffers.Binary;
using Cluster.Contracts.Safetensors;
using Cluster.Worker.Data.Pictures;
using Microsoft.Win32.SafeHandles;

namespace Cluster.Worker.Data.Formats;

/// <summary>
/// One file of decoded pictures: safetensors with <c>images</c>, U8 of (N, H, W, C), rows from the top, and their classes as
/// <c>labels</c>, I64 of (N).
/// </summary>
/// <remarks>
/// Pictures are read from their places by a call each, and not mapped: a disk that fails or a file that is cut short is then an error of
/// one picture and not a signal that ends the process, and the page cache is not counted as the trainer's memory.
/// </remarks>
internal sealed class RawShard
{
    public const string ImagesName = "images", LabelsName = "labels";

    /// <summary>Of two tensors it has some hundred bytes; what else wrote the file may have added some words.</summary>
    private const int MaxHeaderBytes = 1 << 20;

    private const int LabelBytes = sizeof(long);

    private readonly FileStream _file; // open as long as the part
    private readonly SafeFileHandle _handle;
    private readonly long _imagesAt;

    private RawShard(FileStream file, long imagesAt, PictureSize size, int channels, int[] labels)
    {
        (_file, _handle, _imagesAt) = (file, file.SafeFileHandle, imagesAt);
        (Size, Channels, Labels) = (size, channels, labels);
    }

    public string Path => _file.Name;

    /// <summary>Of every picture.</summary>
    public PictureSize Size { get; }

    public int Channels { get; }

    /// <summary>Each picture's class.</summary>
    public int[] Labels { get; }

    public int PictureBytes => Size.Height * Size.Width * Channels;

    /// <param name="path">Of the file.</param>
    /// <param name="classes">That the job has.</param>
    /// <param name="maxPictures">More are refused before anything is reserved for them.</param>
    /// <exception cref="DataSetException">It is not such a file, or a class is none of the job's.</exception>
    public static RawShard Open(string path, int classes, int maxPictures)
    {
        FileStream? file = null;
        try
        {
            file = DataFolder.OpenFile(path);
            var shard = Read(file, classes, maxPictures);
            file = null; // the shard's now
            return shard;
        }
        catch (InvalidDataException e)
        {
            throw new DataSetException($"{path} is no shard of raw pictures: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DataFolder.Unreadable(path, e);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <param name="picture">From 0.</param>
    /// <param name="values">As long as one picture; H × W × C.</param>
    /// <exception cref="IOException">The disk fails, or the file has become shorter.</exception>
    public void Read(int picture, Span<byte> values) => Read(_handle, _imagesAt + ((long)picture * PictureBytes), values);

    private static RawShard Read(FileStream file, int classes, int maxPictures)
    {
        var bytes = file.Length;
        var begin = new byte[Math.Min(bytes, sizeof(long))];
        Read(file.SafeFileHandle, 0, begin);
        var headerBytes = SafetensorsReader.HeaderBytes(begin, bytes);
        if (headerBytes > MaxHeaderBytes)
            throw new InvalidDataException($"its header has {headerBytes} bytes; at most {MaxHeaderBytes} are read");
        var header = new byte[headerBytes];
        Read(file.SafeFileHandle, sizeof(long), header);
        var dataAt = sizeof(long) + headerBytes;
        var entries = SafetensorsReader.ParseHeader(header, bytes - dataAt);
        var images = Entry(entries, ImagesName, "U8", "(N, H, W, C)", dims: 4);
        var labels = Entry(entries, LabelsName, "I64", "(N)", dims: 1);
        var (pictures, size, channels) = Sizes(images);
        if (labels.Shape[0] != pictures)
            throw new InvalidDataException($"it has {pictures} {ImagesName} and {labels.Shape[0]} {LabelsName}");
        if (pictures > maxPictures)
            throw new InvalidDataException($"with it the part has more than {RawShards.MaxPictures} pictures, and no more are read");
        return new RawShard(file, dataAt + images.Begin, size, channels, ReadLabels(file, dataAt + labels.Begin, (int)pictures, classes));
    }

    private static SafetensorsEntry Entry(IReadOnlyList<SafetensorsEntry> entries, string name, string dtype, string shape, int dims) =>
        entries.FirstOrDefault(entry => entry.Name == name) is { } found && found.DType == dtype && found.Shape.Count == dims
            ? found
            : throw new InvalidDataException($"it has no {name} of {dtype} {shape}");

    private static (long Pictures, PictureSize Size, int Channels) Sizes(SafetensorsEntry images)
    {
        var (height, width, channels) = (images.Shape[1], images.Shape[2], images.Shape[3]);
        if (channels is not (1 or 3))
            throw new InvalidDataException($"its pictures have {channels} channels; 1 or 3 are read");
        const int MaxSide = PictureDecoder.MaxSide;
        if (height is < 1 or > MaxSide || width is < 1 or > MaxSide || height * width * channels > Array.MaxLength)
        {
            throw new InvalidDataException(
                $"its pictures have {width}×{height} pixels; from 1 to {MaxSide} a side are read, and {Array.MaxLength} bytes");
        }

        return (images.Shape[0], new PictureSize((int)height, (int)width), (int)channels);
    }

    private static int[] ReadLabels(FileStream file, long labelsAt, int pictures, int classes)
    {
        const int LabelsAtOnce = 1 << 13;
        var (labels, buffer) = (new int[pictures], new byte[Math.Min(pictures, LabelsAtOnce) * LabelBytes]);
        for (var i = 0; i < pictures; i++)
        {
            var at = i % LabelsAtOnce * LabelBytes;
            if (at == 0)
            {
                var count = Math.Min(pictures - i, LabelsAtOnce);
                Read(file.SafeFileHandle, labelsAt + ((long)i * LabelBytes), buffer.AsSpan(0, count * LabelBytes));
            }

            var label = BinaryPrimitives.ReadInt64LittleEndian(buffer.AsSpan(at));
            labels[i] = label >= 0 && label < classes
                ? (int)label
                : throw new DataSetException(
                    $"{file.Name}, picture {i}: class {label}; data.classes is {classes}, so it must be a number from 0 to {classes - 1}");
        }

        return labels;
    }

    private static void Read(SafeFileHandle file, long at, Span<byte> bytes)
    {
        for (var got = 0; got < bytes.Length;)
        {
            var more = RandomAccess.Read(file, bytes[got..], at + got);
            if (more == 0)
                throw new EndOfStreamException($"ends after {got} of {bytes.Length} bytes");
            got += more;
        }
    }
}
