namespace Cluster.Worker.Collectives;

/// <summary>How the values of several ranks become one. Part of what ranks compare before they exchange.</summary>
public enum ReduceOp
{
    Sum = 0,

    /// <summary>The sum divided by the number of ranks; of whole numbers, rounded towards zero.</summary>
    Mean = 1,

    /// <summary>NaN where a rank has NaN.</summary>
    Min = 2,

    /// <inheritdoc cref="Min"/>
    Max = 3,
}
