using System.Globalization;

namespace Cluster.Bench.Scheduling;

/// <summary>How many rows Postgres has read for queries: of tables from end to end, and entries of indexes.</summary>
/// <param name="RowsByTable">Since the database was made.</param>
internal sealed record StoreReads(IReadOnlyDictionary<string, long> RowsByTable)
{
    /// <summary>Gives what <see cref="Parse"/> reads.</summary>
    public const string Query =
        "select relname, coalesce(seq_tup_read, 0) + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes i "
        + "where i.relid = t.relid), 0) from pg_stat_user_tables t";

    public long Rows => RowsByTable.Values.Sum();

    /// <param name="text">A table and its number a line, with <c>|</c> between: psql's unaligned output.</param>
    public static StoreReads Parse(string text) => new(text
        .Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Split('|'))
        .ToDictionary(cells => cells[0], cells => long.Parse(cells[1], CultureInfo.InvariantCulture)));

    /// <summary>What was read from then to now.</summary>
    public StoreReads Since(StoreReads earlier) =>
        new(RowsByTable.ToDictionary(table => table.Key, table => table.Value - earlier.RowsByTable.GetValueOrDefault(table.Key)));

    /// <summary>The tables that most was read of, for people.</summary>
    public string Words(double operations) => string.Join(
        ", ",
        RowsByTable.OrderByDescending(table => table.Value).Take(3)
            .Select(table => string.Create(CultureInfo.InvariantCulture, $"{table.Key} {table.Value / operations:0.#}")));
}
