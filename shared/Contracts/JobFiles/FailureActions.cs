namespace Cluster.Contracts.JobFiles;

/// <summary>What a job's failure policies may do.</summary>
public static class FailureActions
{
    public const string ExcludeNode = "excludeNode";
    public const string StopRetrying = "stopRetrying";
}
