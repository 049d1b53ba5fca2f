namespace Cluster.Contracts;

/// <summary>A larger number comes first.</summary>
public static class JobPriority
{
    public const int Lowest = -1000;

    public const int Highest = 1000;
}
