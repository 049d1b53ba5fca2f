namespace Cluster.Worker.Collectives;

/// <summary>Who belongs to a group: its own numbers run from 0, and what people read are the job's.</summary>
/// <param name="Name">Empty for the group of all ranks.</param>
/// <param name="Ranks">The job's number of each member.</param>
/// <param name="Me">This rank's number in the group.</param>
internal sealed record GroupMembers(string Name, IReadOnlyList<int> Ranks, int Me)
{
    public static GroupMembers All(int worldSize, int rank) => new("", [.. Enumerable.Range(0, worldSize)], rank);

    /// <summary>The job's number of a member.</summary>
    public int JobRank(int member) => Ranks[member];

    /// <summary>For messages, after the name of an operation.</summary>
    public string OfGroup => Name.Length == 0 ? "" : $" of group '{Name}'";
}
