using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Access;

/// <summary>Tokens in Postgres, by the SHA-256 of their text: the database never holds one that could be used.</summary>
public sealed class TokenStore(NpgsqlDataSource database, IOptions<AccessOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (Caller? Caller, DateTimeOffset Until)> remembered = new();

    /// <summary>Who presents this token, or null when it is unknown or no longer valid.</summary>
    public async Task<Caller?> FindAsync(string token, CancellationToken cancellationToken)
    {
        var hash = Hash(token);
        var key = Convert.ToHexString(hash);
        var now = time.GetUtcNow();
        if (remembered.TryGetValue(key, out var known) && now < known.Until)
            return known.Caller;

        await using var command = database.CreateCommand("select owner, scope from tokens where hash = $1");
        command.Parameters.AddWithValue(hash);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            // Unknown tokens are not remembered: guesses would fill the memory, and a new token must work at once.
            remembered.TryRemove(key, out _);
            return null;
        }

        var caller = new Caller(reader.GetString(0), Enum.Parse<Scope>(reader.GetString(1)));
        remembered[key] = (caller, now + options.Value.CacheDuration);
        return caller;
    }

    /// <summary>Stores a token, or gives a stored one another owner and scope.</summary>
    public async Task PutAsync(string token, string owner, Scope scope, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            insert into tokens (hash, owner, scope) values ($1, $2, $3)
            on conflict (hash) do update set owner = excluded.owner, scope = excluded.scope
            """);
        command.Parameters.AddWithValue(Hash(token));
        command.Parameters.AddWithValue(owner);
        command.Parameters.AddWithValue(scope.ToString());
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
