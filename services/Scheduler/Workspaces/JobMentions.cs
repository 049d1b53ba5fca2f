using System.Text.RegularExpressions;
using Cluster.Contracts;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;

namespace Cluster.Scheduler.Workspaces;

/// <summary>
/// Takes out of what a caller is told the jobs that it does not see: those of others for which its own wait, or were stopped.
/// </summary>
/// <remarks>
/// Placement writes its reasons once for all who will read them, so this is done as they leave. A job that is there no more is told of like
/// one that is hidden: two answers would tell which ids exist.
/// </remarks>
public sealed partial class JobMentions([FromKeyedServices(StorePool.Queries)] ClusterDatabase database)
{
    private static readonly IReadOnlySet<string> None = new HashSet<string>();

    /// <returns>The message itself where it names no job that is hidden, else a copy without them.</returns>
    public async Task<T> HideAsync<T>(T message, Visibility seen, CancellationToken cancellationToken)
        where T : IMessage
    {
        if (seen.IsAll || !JobNames.AreIn(message.Descriptor))
            return message;
        var named = new HashSet<string>(StringComparer.Ordinal);
        JobNames.Change(message, text =>
        {
            named.UnionWith(IdsIn(text));
            return text;
        });
        var visible = await SeenAsync(named, seen, cancellationToken);
        if (named.IsSubsetOf(visible))
            return message;
        // Who sends it may hold it, to tell what has changed since.
        var copy = message.Descriptor.Parser.ParseFrom(message.ToByteString());
        JobNames.Change(copy, text => Without(text, visible));
        return (T)copy;
    }

    /// <inheritdoc cref="HideAsync{T}(T, Visibility, CancellationToken)"/>
    public async Task<string> HideAsync(string text, Visibility seen, CancellationToken cancellationToken) => seen.IsAll
        ? text
        : Without(text, await SeenAsync(IdsIn(text).ToHashSet(StringComparer.Ordinal), seen, cancellationToken));

    private static IEnumerable<string> IdsIn(string text) => JobId.TryParse(text, out _)
        ? [text]
        : Mention().Matches(text).Select(match => match.Groups["id"].Value);

    private static string Without(string text, IReadOnlySet<string> visible) => JobId.TryParse(text, out _)
        ? visible.Contains(text) ? text : ""
        : Mention().Replace(
            text, match => visible.Contains(match.Groups["id"].Value) ? match.Value : DeviceHolders.HiddenJob);

    /// <summary>Those of the ids, and of their beginnings, by which nothing is meant but jobs that are seen.</summary>
    private async Task<IReadOnlySet<string>> SeenAsync(
        IReadOnlyCollection<string> ids, Visibility seen, CancellationToken cancellationToken)
    {
        if (ids.Count == 0)
            return None;
        var ranges = ids.Select(id => IdPrefix.TryParse(id, out var prefix) ? IdRange.Of(prefix) : default).ToList();
        object[] values =
        [
            ids.ToArray(), ranges.Select(range => range.Low).ToArray(), ranges.Select(range => range.High).ToArray(), .. seen.Parameters,
        ];
        try
        {
            return await database.RunAsync(async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(
                    $"""
                    select named.id from unnest($1::text[], $2::uuid[], $3::uuid[]) named (id, low, high)
                    join jobs on jobs.id between named.low and named.high
                    group by named.id having bool_and({Visibility.Sql("jobs", first: 4)})
                    """, connection);
                foreach (var value in values)
                    command.Parameters.Add(new() { Value = value });
                await using var reader = await command.ExecuteReaderAsync(token);
                var found = new HashSet<string>(StringComparer.Ordinal);
                while (await reader.ReadAsync(token))
                    found.Add(reader.GetString(0));
                return found;
            }, cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // What cannot be looked up stays hidden: the answer itself is there, or is that same fault.
            return None;
        }
    }

    [GeneratedRegex(
        "\\bjob (?<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8})(?![-0-9a-f])", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 30000)]
    private static partial Regex Mention();
}
