using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>Tells who presents a token. Only hashes are stored, so the database holds no token that could be used.</summary>
public sealed class TokenRegister(TokenStore store, IOptions<AccessOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (Caller Caller, DateTimeOffset Until)> _remembered = new();

    /// <returns>Null when the token is not known.</returns>
    public async Task<Caller?> FindAsync(string token, CancellationToken cancellationToken)
    {
        var hash = Hash(token);
        var key = Convert.ToHexString(hash);
        var now = time.GetUtcNow();
        if (_remembered.TryGetValue(key, out var known) && now < known.Until)
            return known.Caller;

        if (await store.FindAsync(hash, cancellationToken) is not { } grant)
        {
            // Unknown tokens are not remembered: guesses would fill the memory, and a new token must work at once.
            _remembered.TryRemove(key, out _);
            return null;
        }

        var caller = new Caller(grant.Owner, grant.Scope);
        _remembered[key] = (caller, now + options.Value.CacheDuration);
        return caller;
    }

    /// <summary>Makes a token known, or gives a known one another owner and scope.</summary>
    public Task AddAsync(string token, string owner, Scope scope, CancellationToken cancellationToken) =>
        store.PutAsync(Hash(token), new TokenGrant(owner, scope), cancellationToken);

    /// <summary>
    /// Withdraws all other tokens of that owner and scope; where one is remembered it works on for
    /// <see cref="AccessOptions.CacheDuration"/>.
    /// </summary>
    /// <returns>How many there were.</returns>
    public Task<int> WithdrawOthersAsync(string token, string owner, Scope scope, CancellationToken cancellationToken) =>
        store.RemoveOthersAsync(Hash(token), new TokenGrant(owner, scope), cancellationToken);

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
