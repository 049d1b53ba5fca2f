using System.Globalization;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Workspaces;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>Which runs are listed, and in which order.</summary>
/// <param name="Where">As <see cref="RunCondition"/> reads it; empty: all.</param>
/// <param name="Sort">A column, perhaps with "asc" or "desc" behind it; empty: the newest first.</param>
/// <param name="PageToken">Empty: the first page.</param>
public sealed record RunSearch(string Where, string Sort, int PageSize, string PageToken)
{
    /// <summary>What who asks may see.</summary>
    public Visibility Seen { get; init; } = Visibility.All;

    /// <summary>Those of the page, and one more if there is one.</summary>
    /// <exception cref="FormatException">It is no condition, no column, or no token of this search.</exception>
    internal async Task<Queue<FoundRun>> FindAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand { Connection = connection };
        var order = RunOrder.Read(Sort);
        var parameters = new SqlParameters();
        var key = order.Key(parameters);
        List<string> conditions = [];
        if (Where.Length > 0)
            conditions.Add($"({RunCondition.Read(Where, parameters)})");
        if (Seen.Hidden.Length > 0)
            conditions.Add($"(j.owner = {parameters.Add(Seen.Owner)} or j.workspace <> all({parameters.Add(Seen.Hidden)}))");
        if (Seen.Only is { } only)
            conditions.Add($"j.workspace = any({parameters.Add(only)})");
        if (PageToken.Length > 0)
            conditions.Add($"({order.After(PageToken, key, parameters)})");
        command.CommandText =
            $"""
            select j.id, j.created_at, {key ?? "null"} from {RunColumns.From}
            {(conditions.Count > 0 ? "where " : "")}{string.Join(" and ", conditions)}
            order by {(key is null ? "" : $"{key} {order.Direction} nulls last,")} j.created_at desc, j.id desc
            limit {parameters.Add(PageSize + 1)}
            """;
        parameters.AddTo(command);
        var found = new Queue<FoundRun>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var (id, createdAt) = (reader.GetGuid(0), reader.GetFieldValue<DateTimeOffset>(1));
            found.Enqueue(new FoundRun(id, order.Token(reader.IsDBNull(2) ? null : reader.GetValue(2), createdAt, id)));
        }

        return found;
    }
}

/// <param name="PageToken">What follows it.</param>
internal sealed record FoundRun(Guid Id, string PageToken);

/// <summary>The order of a list of runs: by a column if there is one, and then the newest first. Runs without it come last.</summary>
internal sealed record RunOrder(RunColumn? Column, bool IsDescending)
{
    public string Direction => IsDescending ? "desc" : "asc";

    /// <exception cref="FormatException">There is no such column or direction.</exception>
    public static RunOrder Read(string sort)
    {
        var words = sort.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0)
            return new RunOrder(null, false);
        RunColumn column;
        try
        {
            column = RunColumns.Find(words[0]);
        }
        catch (FormatException unknown)
        {
            throw new FormatException($"sort: {unknown.Message}", unknown);
        }

        return words switch
        {
            [_] => new(column, column.MoreIsBetter),
            [_, var way] when way.Equals("asc", StringComparison.OrdinalIgnoreCase) => new(column, false),
            [_, var way] when way.Equals("desc", StringComparison.OrdinalIgnoreCase) => new(column, true),
            _ => throw new FormatException(
                $"sort is '{sort}' but must be a column, perhaps with asc or desc behind it; write it as loss desc"),
        };
    }

    /// <returns>Null: there is no column.</returns>
    public string? Key(SqlParameters parameters) => Column switch
    {
        null => null,
        // By code point: in one order whatever the database was made with.
        { Kind: RunColumnKind.Text } => $"{Column.Sql(parameters)} collate \"C\"",
        _ => Column.Sql(parameters),
    };

    /// <summary>The condition for what follows a token.</summary>
    public string After(string token, string? key, SqlParameters parameters)
    {
        if (key is null)
        {
            var (createdAt, id) = PageToken.Read(token);
            return Older(createdAt, id);
        }

        var last = PageToken.ReadKey(token);
        var older = Older(last.CreatedAt, last.Id);
        if (last.Key is null)
            return $"{key} is null and {older}";
        var value = Value(last.Key, token, parameters);
        return $"{key} {(IsDescending ? '<' : '>')} {value} or {key} = {value} and {older} or {key} is null";

        string Older(DateTimeOffset createdAt, Guid id) =>
            $"(j.created_at, j.id) < ({parameters.Add(createdAt.UtcDateTime)}, {parameters.Add(id)})";
    }

    /// <param name="key">The column's value.</param>
    public string Token(object? key, DateTimeOffset createdAt, Guid id) => Column is null
        ? PageToken.Write(createdAt, id)
        : PageToken.Write(key switch
        {
            double number => number.ToString("R", CultureInfo.InvariantCulture),
            DateTime time => time.Ticks.ToString(CultureInfo.InvariantCulture),
            bool flag => flag ? "true" : "false",
            _ => (string?)key,
        }, createdAt, id);

    private string Value(string key, string token, SqlParameters parameters)
    {
        const NumberStyles Number = NumberStyles.Float;
        return Column!.Kind switch
        {
            RunColumnKind.Number when double.TryParse(key, Number, CultureInfo.InvariantCulture, out var number) => parameters.Add(number),
            RunColumnKind.Time when long.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
                && ticks <= DateTime.MaxValue.Ticks => parameters.Add(new DateTime(ticks, DateTimeKind.Utc)),
            RunColumnKind.Flag when bool.TryParse(key, out var flag) => parameters.Add(flag),
            RunColumnKind.Text => parameters.Add(key),
            _ => throw PageToken.Unknown(token),
        };
    }
}
