using Cluster.Worker.Collectives;
using Cluster.Worker.Data;

namespace Cluster.Worker.Training;

/// <summary>The data set, as a rank's node has it.</summary>
internal static partial class AgreedData
{
    /// <exception cref="DataSetException">It cannot be used.</exception>
    public static ImageDataSet Read(TrainerContext context, ICollectiveGroup group)
    {
        var data = DataSetReader.Read(context.Launch.Spec.Data, context.Launch.DataRoot);
        var logger = context.LoggerFactory.CreateLogger(typeof(AgreedData));
        foreach (var note in group.Rank == 0 ? data.Notes : [])
            LogNote(logger, note);
        return data;
    }

    [LoggerMessage(LogLevel.Warning, "{Note}")]
    private static partial void LogNote(ILogger logger, string note);
}
