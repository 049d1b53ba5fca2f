namespace Cluster.Worker.Collectives;

public sealed partial class CollectiveGroup
{
    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error,
            Message = "Collectives of rank {Rank} failed: {Fault}\nThe last operations{Group}, oldest first:\n{Operations}")]
        public static partial void Failed(ILogger logger, int rank, string fault, string group, string operations);
    }
}
