namespace Cluster.Placement;

/// <summary>A job as placement knows it: the value of its id.</summary>
public readonly record struct JobKey(Guid Value)
{
    /// <summary>Lower-case, dashed: as the job's id is printed.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>A node as placement knows it: the value of its id.</summary>
public readonly record struct NodeKey(Guid Value)
{
    /// <summary>Lower-case, dashed: as the node's id is printed.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>Where a job waits.</summary>
public readonly record struct QueueKey(string Name)
{
    /// <summary>Of all jobs that name none.</summary>
    public static QueueKey Default { get; } = new("default");

    public override string ToString() => Name;
}
