using System.Collections.Concurrent;
using System.Collections.Frozen;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>What there is to say of a token that somebody presents.</summary>
public enum TokenStanding
{
    Valid,
    Unknown,
    Expired,
    Revoked,
}

/// <param name="Caller">Whose it is, or was; null where it is unknown.</param>
public readonly record struct TokenFinding(TokenStanding Standing, Caller? Caller);

/// <summary>Tells who presents a token. All tokens are held in memory, so that neither a call nor a guess costs a query.</summary>
/// <remarks>
/// One that looks right and is not known may have been made a moment ago at another scheduler: it waits until the tokens are read again,
/// which they are at most once a second for all who ask.
/// </remarks>
public sealed class TokenRegister(TokenStore store, TokenFiles files, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1);

    // A use is written at most so often.
    private static readonly TimeSpan UsePrecision = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _loading = new(1);
    private readonly ConcurrentDictionary<Guid, DateTimeOffset> _used = new();
    private readonly ConcurrentDictionary<Guid, DateTimeOffset> _toNote = new();
    private volatile Known _known = Known.Nothing;
    private long _loadedAt;

    public async ValueTask<TokenFinding> FindAsync(string token, CancellationToken cancellationToken)
    {
        var hash = AccessSecret.Hash(token);
        var finding = Find(hash);
        if (finding.Standing == TokenStanding.Unknown && MayBeNew(token))
        {
            await AwaitLoadAsync(cancellationToken);
            finding = Find(hash);
        }

        if (finding is { Standing: TokenStanding.Valid, Caller.TokenId: { } id })
            NoteUse(id);
        return finding;
    }

    /// <summary>By its hash, of what is known now.</summary>
    public TokenFinding Find(byte[] hash) => _known.ByHash.TryGetValue(Convert.ToHexString(hash), out var token)
        ? new TokenFinding(token.StandingAt(time.GetUtcNow()), token.Caller)
        : new TokenFinding(TokenStanding.Unknown, null);

    /// <summary>Whether the text is a token, also one that is over: such a text is not to be written down.</summary>
    public bool IsToken(string text) => _known.ByHash.ContainsKey(Convert.ToHexString(AccessSecret.Hash(text)));

    /// <summary>Whether the node has a token of its own, so that the shared one does not speak for it.</summary>
    public bool IsEnrolled(NodeId node) => _known.Nodes.Contains(node);

    /// <summary>Reads all tokens again.</summary>
    /// <exception cref="OptionsValidationException">A token file gives none; what was known stays.</exception>
    /// <exception cref="StoreUnavailableException">Postgres does not answer; likewise.</exception>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        await _loading.WaitAsync(cancellationToken);
        try
        {
            await LoadWhileHeldAsync(cancellationToken);
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>Writes down when tokens were used since this was last called.</summary>
    public async Task StoreUsesAsync(CancellationToken cancellationToken)
    {
        var uses = _toNote.ToArray();
        if (uses.Length == 0)
            return;
        await store.NoteUsesAsync(uses, cancellationToken);
        foreach (var use in uses)
            _toNote.TryRemove(use);
    }

    public void Dispose() => _loading.Dispose();

    private static bool MayBeNew(string token) =>
        AccessSecret.IsWellFormed(AccessSecret.Token, token) || AccessSecret.IsWellFormed(AccessSecret.Node, token);

    private void NoteUse(Guid token)
    {
        var now = time.GetUtcNow();
        if (_used.TryGetValue(token, out var before) && now - before < UsePrecision)
            return;
        _used[token] = now;
        _toNote[token] = now;
    }

    /// <summary>Returns once the tokens have been read since the call began.</summary>
    private async Task AwaitLoadAsync(CancellationToken cancellationToken)
    {
        var before = _known;
        await _loading.WaitAsync(cancellationToken);
        try
        {
            // Somebody who came earlier has read them meanwhile.
            if (_known != before)
                return;
            var pause = ShortestPause - time.GetElapsedTime(_loadedAt);
            if (pause > TimeSpan.Zero)
                await Task.Delay(pause, time, cancellationToken);
            await LoadWhileHeldAsync(cancellationToken);
        }
        catch (OptionsValidationException)
        {
            // The caller cannot help that a token file is wrong; who reads it regularly says so.
        }
        finally
        {
            _loading.Release();
        }
    }

    private async Task LoadWhileHeldAsync(CancellationToken cancellationToken)
    {
        // Also where it fails: who guesses while Postgres is away is not to make it busier.
        _loadedAt = time.GetTimestamp();
        var stored = await store.LoadAsync(cancellationToken);
        _known = Known.Of(stored, files.Read());
    }

    private sealed record Token(Caller Caller, DateTimeOffset? ExpiresAt, bool IsRevoked)
    {
        public TokenStanding StandingAt(DateTimeOffset now) =>
            IsRevoked ? TokenStanding.Revoked : ExpiresAt <= now ? TokenStanding.Expired : TokenStanding.Valid;
    }

    private sealed class Known(FrozenDictionary<string, Token> byHash, FrozenSet<NodeId> nodes)
    {
        public static Known Nothing { get; } = new(FrozenDictionary<string, Token>.Empty, FrozenSet<NodeId>.Empty);

        public FrozenDictionary<string, Token> ByHash => byHash;

        public FrozenSet<NodeId> Nodes => nodes;

        public static Known Of(IReadOnlyList<TokenRow> stored, IReadOnlyList<(byte[] Hash, Caller Caller)> configured)
        {
            var tokens = stored.ToDictionary(
                row => Convert.ToHexString(row.Hash), row => new Token(CallerOf(row), row.ExpiresAt, row.RevokedAt is not null));
            foreach (var (hash, caller) in configured)
                tokens[Convert.ToHexString(hash)] = new Token(caller, null, IsRevoked: false);
            return new Known(
                tokens.ToFrozenDictionary(StringComparer.Ordinal),
                stored.Where(row => row.RevokedAt is null).Select(row => row.NodeId).OfType<Guid>().Select(id => new NodeId(id))
                    .ToFrozenSet());
        }

        private static Caller CallerOf(TokenRow row) => new(row.Owner, row.Scope)
        {
            TokenName = row.Name,
            TokenId = row.Id,
            Node = row.NodeId is { } node ? new NodeId(node) : null,
            Workspaces = row.Workspaces,
        };
    }
}
