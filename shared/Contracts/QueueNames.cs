namespace Cluster.Contracts;

public static class QueueNames
{
    /// <summary>Where jobs wait that name no queue. It is always there.</summary>
    public const string Default = "default";
}
