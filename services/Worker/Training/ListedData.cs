using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Indexing;

namespace Cluster.Worker.Training;

/// <summary>A rank's own copy of the data set, as it found it before it met its peers.</summary>
/// <param name="Data">Null if it cannot be used.</param>
/// <param name="Fingerprint">Of <paramref name="Data"/>, where other nodes have copies too.</param>
/// <param name="Fault">Why it cannot be used, which the peers are told too: they would wait for this rank.</param>
internal sealed record ListedData(ImageDataSet? Data, DataFingerprint? Fingerprint, Exception? Fault)
{
    /// <summary>Lists what the node has, once for all its ranks, and says so meanwhile.</summary>
    public static ListedData Read(TrainerContext context, DataIndexOptions options, CancellationToken cancellationToken) =>
        Read(
            context, options,
            (notes, index) => DataSetReader.Read(context.Launch.Spec.Data, context.Launch.DataRoot, notes, index), cancellationToken);

    internal static ListedData Read(
        TrainerContext context, DataIndexOptions options, Func<DataNotes, DataIndex?, ImageDataSet> read,
        CancellationToken cancellationToken)
    {
        var (launch, notes) = (context.Launch, new DataNotes());
        using var index = OpenIndex(context, options, notes, cancellationToken);
        using var signs = new SignsOfLife(
            context, TrainingGroup.RendezvousName, () => notes.Seen, seen => $"reading {launch.Spec.Data.Name}: {seen} entries so far",
            cancellationToken);
        try
        {
            var data = read(notes, index);
            return new ListedData(data, launch.LocalWorldSize < launch.WorldSize ? new DataFingerprint(data, notes, index) : null, null);
        }
        catch (Exception e) when (e is DataSetException or JobMisconfiguredException)
        {
            return new ListedData(null, null, e);
        }
    }

    /// <summary>Null where the node keeps none, and for data sets of few files.</summary>
    private static DataIndex? OpenIndex(
        TrainerContext context, DataIndexOptions options, DataNotes notes, CancellationToken cancellationToken)
    {
        var (launch, data) = (context.Launch, context.Launch.Spec.Data);
        var hasManyFiles = data.Name is DataCatalog.ImageFolder or DataCatalog.TarShards;
        if (!hasManyFiles || launch.DataIndexFolder.Length == 0 || options.MaxDataSets == 0)
            return null;
        var setup = new DataIndexSetup
        {
            Folder = new IndexFolder(launch.DataIndexFolder, $"{data.Name}/{data.Folder} in {launch.DataRoot}"),
            Options = options,
            Notes = notes,
            Logger = context.LoggerFactory.CreateLogger<DataIndex>(),
            TimeProvider = context.TimeProvider,
            SpeaksForNode = launch.LocalRank == 0,
        };
        return new DataIndex(setup, cancellationToken);
    }
}
