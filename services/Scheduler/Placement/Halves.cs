using System.Collections.Immutable;
using Npgsql;

namespace Cluster.Scheduler.Placement;

/// <summary>Writes many things in one transaction. What the database refuses is found by halves: the others are written.</summary>
internal static class Halves
{
    /// <param name="write">One transaction.</param>
    /// <param name="refused">Told of each that was refused alone.</param>
    public static async Task<ImmutableArray<TWritten>> WriteAsync<T, TWritten>(
        ImmutableArray<T> those, Func<ImmutableArray<T>, Task<ImmutableArray<TWritten>>> write, Action<PostgresException, T> refused)
    {
        if (those.IsEmpty)
            return [];
        try
        {
            return await write(those);
        }
        catch (PostgresException) when (those.Length > 1)
        {
            var first = await WriteAsync(those[..(those.Length / 2)], write, refused);
            return first.AddRange(await WriteAsync(those[(those.Length / 2)..], write, refused));
        }
        catch (PostgresException refusal)
        {
            refused(refusal, those[0]);
            return [];
        }
    }
}
