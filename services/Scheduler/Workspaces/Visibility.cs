namespace Cluster.Scheduler.Workspaces;

/// <summary>
/// What somebody sees: everything but what lies in workspaces that are closed to them, and there what is their own; and of that only what
/// lies in the workspaces that their token is limited to.
/// </summary>
/// <param name="Hidden">Workspaces that are closed to the owner.</param>
/// <param name="Only">Null: the token is not limited.</param>
public sealed record Visibility(string Owner, string[] Hidden, string[]? Only)
{
    public static Visibility All { get; } = new("", [], null);

    public bool IsAll => Hidden.Length == 0 && Only is null;

    /// <summary>Whether the two see the same whatever there is. Arrays have no equality of their own.</summary>
    public bool IsSameAs(Visibility other) => Owner == other.Owner && Hidden.SequenceEqual(other.Hidden, StringComparer.Ordinal)
        && (Only is null ? other.Only is null : other.Only is not null && Only.SequenceEqual(other.Only, StringComparer.Ordinal));

    /// <summary>The values of the parameters that <see cref="Sql"/> takes, in their order.</summary>
    public object[] Parameters => [Owner, Hidden, Only as object ?? DBNull.Value];

    /// <summary>Whether a job is seen, as a condition in SQL.</summary>
    /// <param name="jobs">What the table of jobs is called in the statement.</param>
    /// <param name="first">The number of the first of the three <see cref="Parameters"/>.</param>
    public static string Sql(string jobs, int first) =>
        $"({jobs}.owner = ${first} or {jobs}.workspace <> all (${first + 1})) "
            + $"and (${first + 2}::text[] is null or {jobs}.workspace = any (${first + 2}))";
}
