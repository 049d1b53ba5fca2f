using Cluster.Contracts.Catalog;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Formats;
using Cluster.Worker.Data.Indexing;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Formats;
using Cluster.Worker.Tests.Data.Pictures;
using Cluster.Worker.Tests.Training;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Data.Indexing;

/// <summary>A data root with a folder of pictures or shards in it, and a node's folder for its index.</summary>
internal sealed class IndexedFolder : IDisposable
{
    private const int Classes = 3;

    private readonly DirectoryInfo _state = Directory.CreateTempSubdirectory("data-index-");

    public PictureFolder Pictures { get; } = new();

    public CollectedLogs Logs { get; } = new();

    public DataIndexOptions Options { get; } = new();

    /// <summary>By default a clock that makes all settled that has changed before.</summary>
    public TimeProvider Time { get; set; } = new ShiftedTime(TimeSpan.FromHours(1));

    /// <summary>Where a node keeps its indexes.</summary>
    public string Folder => Path.Combine(_state.FullName, "index");

    /// <summary>Out of the data root, where no link may lead.</summary>
    public string Outside => _state.CreateSubdirectory("outside").FullName;

    public IndexFolder Files => FilesOf(PictureFolder.Name);

    public IndexFolder FilesOf(string dataSet) => new(Folder, dataSet);

    public void Dispose()
    {
        Pictures.Dispose();
        _state.Delete(recursive: true);
    }

    public DataIndex Open(
        DataNotes? notes = null, string dataSet = PictureFolder.Name, CancellationToken? cancellationToken = null) => new(
        new DataIndexSetup
        {
            Folder = FilesOf(dataSet),
            Options = Options,
            Notes = notes ?? new DataNotes(),
            Logger = Logs.CreateLogger(nameof(DataIndex)),
            TimeProvider = Time,
        },
        cancellationToken ?? TestContext.Current.CancellationToken);

    /// <summary>All that a job would see of the data: samples in their order, what is passed over, or the words of the refusal.</summary>
    /// <returns>That, and how much of it was read anew.</returns>
    public (string Seen, int Fresh) Read(string layout, bool byIndex = true)
    {
        var notes = new DataNotes();
        using var index = byIndex ? Open(notes) : null;
        try
        {
            var decoding = new Decoding(3);
            var (train, validation, test) = layout == DataCatalog.ImageFolder
                ? ImageFolder.Open(Pictures.Root, PictureFolder.Name, Classes, decoding, notes, index)
                : TarShards.Open(Pictures.Root, PictureFolder.Name, Classes, decoding, notes, index);
            index?.Complete();
            string[] seen = [.. Lines(train), "val", .. Lines(validation), "test", .. Lines(test), .. notes.Told];
            return (string.Join('\n', seen), index?.Fresh ?? 0);
        }
        catch (Exception e) when (e is DataSetException or JobMisconfiguredException)
        {
            return ($"{e.GetType().Name}: {e.Message}", index?.Fresh ?? 0);
        }
    }

    /// <summary>Returns when the file system's clock has gone on: what is changed from now on gets another time than what was changed
    /// before.</summary>
    public void PassTick()
    {
        var probe = Path.Combine(_state.FullName, "probe");
        var before = Touched();
        while (Touched() == before)
        {
            // Some milliseconds at the most.
        }

        FileTime Touched()
        {
            File.WriteAllBytes(probe, []);
            File.SetLastWriteTimeUtc(probe, DateTime.UnixEpoch);
            return FileCalls.Stamp(probe)!.Value.Changed;
        }
    }

    public void WriteShard(string name, int samples, int size = 4, params (string Name, byte[] Content)[] more) => Pictures.WriteTar(
        name,
        [
            .. Enumerable.Range(0, samples).SelectMany<int, (string, byte[])>(
                i => [($"{i}.png", Png.Of(new PictureSize(size, size), (byte)i)), ($"{i}.cls", [(byte)('0' + (i % Classes))])]),
            .. more,
        ]);

    private static IEnumerable<string> Lines(ImagePart part) => Enumerable.Range(0, part.Count).Select(sample =>
        $"{part.Identity(sample)} {part.Label(sample)} {part.ClassName(part.Label(sample))} {Fault(part, sample)}");

    private static string Fault(ImagePart part, int sample)
    {
        using var buffers = new PictureBuffers();
        try
        {
            part.Load(sample, buffers, _ => 1);
            return $"{buffers.Picture.Size} {buffers.Picture.Values[0]}";
        }
        catch (BrokenPictureException e)
        {
            return e.Message;
        }
    }
}

/// <summary>The machine's clock, wrong by so much.</summary>
internal sealed class ShiftedTime(TimeSpan by) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
}

/// <summary>A clock that shows one time of day, while time goes on.</summary>
internal sealed class FixedTime(DateTimeOffset now) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => now;
}
