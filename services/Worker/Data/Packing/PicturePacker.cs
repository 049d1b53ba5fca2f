using System.Collections.Concurrent;
using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Packing;

/// <summary>Decodes a folder of pictures once for all jobs: into <see cref="RawShards"/> of one size, on all cores.</summary>
internal sealed class PicturePacker(PackOrder order, TextWriter output)
{
    /// <summary>Pictures that are made ready before they are written.</summary>
    private const int BytesAtOnce = 64 << 20;

    private const int MostBrokenTold = 20;

    private readonly int _pictureBytes = order.Side * order.Side * order.Channels;
    private readonly ConcurrentQueue<string> _broken = new();

    /// <summary>For the worker's command line.</summary>
    /// <returns>The exit code.</returns>
    public static int RunProcess(IReadOnlyList<string> arguments)
    {
        const int usageExit = 64, dataExit = 65; // EX_USAGE, EX_DATAERR
        try
        {
            new PicturePacker(PackOrder.Parse(arguments), Console.Out).Run();
            return 0;
        }
        catch (FormatException e)
        {
            Console.Error.WriteLine(e.Message);
            return usageExit;
        }
        catch (Exception e) when (e is DataSetException or JobMisconfiguredException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return dataExit;
        }
    }

    /// <summary>Writes beside the output and moves it there when all is whole: an agent that looks meanwhile does not offer it.</summary>
    /// <exception cref="DataSetException">The folder has not the layout, or pictures are broken; then nothing is left.</exception>
    /// <exception cref="IOException">The output is there already, or there is no room for it.</exception>
    public void Run()
    {
        if (Path.Exists(order.Output))
            throw new IOException($"{order.Output} is there already; name a folder that is not, or remove it");
        var unfinished = order.Output + ".part";
        if (Path.Exists(unfinished))
            throw new IOException($"{unfinished} is there already, of a run that is under way or was ended; remove it if it was ended");
        var (root, name) = (Path.GetDirectoryName(order.Folder)!, Path.GetFileName(order.Folder));
        var notes = new DataNotes();
        var decoding = new Decoding(order.Channels, Memory: new PictureMemory((long)DataCatalog.DefaultDecodingMemoryMib << 20));
        var (train, validation, test) = ImageFolder.Open(root, name, ImageFolder.CountClasses(root, name), decoding, notes);
        foreach (var note in notes.Told)
            output.WriteLine(note);
        Directory.CreateDirectory(unfinished);
        try
        {
            Pack(unfinished, "train", train);
            Pack(unfinished, "val", validation);
            Pack(unfinished, "test", test);
            if (!_broken.IsEmpty)
                throw Broken();
            Directory.Move(unfinished, order.Output);
        }
        catch
        {
            Directory.Delete(unfinished, recursive: true);
            throw;
        }
    }

    private void Pack(string folder, string name, ImagePart part)
    {
        var most = Math.Max(1, (int)(((long)order.ShardMib << 20) / _pictureBytes));
        var shards = (part.Count + most - 1) / most;
        for (var shard = 0; shard < shards; shard++)
        {
            var start = shard * most;
            var file = $"{name}-{shard:00000}{RawShards.Ending}";
            WriteShard(Path.Combine(folder, file), part.Slice(start, Math.Min(most, part.Count - start)));
            output.WriteLine($"{file}, {shard + 1} of {shards}: {Math.Min(most, part.Count - start)} pictures");
        }
    }

    private void WriteShard(string path, ImagePart pictures)
    {
        int[] labels = [.. Enumerable.Range(0, pictures.Count).Select(pictures.Label)];
        using var writer = new RawShardWriter(path, order.Side, order.Channels, labels);
        var atOnce = Math.Max(1, BytesAtOnce / _pictureBytes);
        var ready = new byte[Math.Min(atOnce, pictures.Count) * _pictureBytes];
        for (var start = 0; start < pictures.Count; start += atOnce)
        {
            var count = Math.Min(atOnce, pictures.Count - start);
            System.Threading.Tasks.Parallel.For(
                0, count,
                () => new Room(order.Side, order.Channels),
                (i, _, room) => Render(pictures, start + i, room, ready.AsSpan(i * _pictureBytes, _pictureBytes)),
                room => room.Dispose());
            writer.Write(ready.AsSpan(0, count * _pictureBytes));
        }
    }

    private Room Render(ImagePart pictures, int sample, Room room, Span<byte> values)
    {
        try
        {
            var buffers = room.Buffers;
            pictures.Load(sample, buffers, size => Middle(size).Enough);
            var picture = buffers.Picture;
            buffers.Resampler.Resample(
                picture, Middle(picture.StoredSize).In(picture), order.Side, flip: false, room.Scale, room.Offset, room.Planes);
            Interleave(room.Planes, values);
        }
        catch (BrokenPictureException e)
        {
            _broken.Enqueue(e.Message);
        }

        return room;
    }

    private CropWindow Middle(PictureSize size) => CropChoice.OfResized(size, order.Side, order.Side, CropChoice.Middle);

    /// <summary>(C, H·W) → (H·W, C), to the nearest byte.</summary>
    private void Interleave(ReadOnlySpan<float> planes, Span<byte> values)
    {
        var (channels, pixels) = (order.Channels, order.Side * order.Side);
        for (var c = 0; c < channels; c++)
        {
            for (var p = 0; p < pixels; p++)
                values[(p * channels) + c] = (byte)Math.Clamp(planes[(c * pixels) + p] + 0.5f, 0, 255);
        }
    }

    private DataSetException Broken() => new(
        (_broken.Count == 1 ? "1 picture" : $"{_broken.Count} pictures")
        + " cannot be read, and nothing has been written; mend or remove:\n"
        + string.Join('\n', _broken.Order(StringComparer.Ordinal).Take(MostBrokenTold)) + (_broken.Count > MostBrokenTold ? "\n…" : ""));

    /// <summary>A thread's.</summary>
    private sealed class Room(int side, int channels) : IDisposable
    {
        public PictureBuffers Buffers { get; } = new();

        public float[] Planes { get; } = new float[side * side * channels];

        /// <summary>The resampler's values stay what they are.</summary>
        public float[] Scale { get; } = [.. Enumerable.Repeat(1f, channels)];

        public float[] Offset { get; } = new float[channels];

        public void Dispose() => Buffers.Dispose();
    }
}
