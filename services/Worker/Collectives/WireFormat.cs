namespace Cluster.Worker.Collectives;

/// <summary>How values travel from node to node while they are reduced.</summary>
public enum WireFormat
{
    /// <summary>As they are.</summary>
    Native,

    /// <summary>
    /// Float32 as bfloat16, which halves the traffic: what a rank sends is rounded to 8 bits of precision, and so is the result, the
    /// same on every rank. Sums are still reckoned in float32. Other types, small operations and ranks of one node are not concerned.
    /// </summary>
    BFloat16,
}
