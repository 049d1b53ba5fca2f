namespace Cluster.Scheduler.Workspaces;

/// <summary>What somebody sees: everything but what lies in workspaces that are closed to them, and there what is their own.</summary>
/// <param name="Hidden">Workspaces that are closed to the owner.</param>
public sealed record Visibility(string Owner, string[] Hidden)
{
    public static Visibility All { get; } = new("", []);

    public bool IsAll => Hidden.Length == 0;
}
