using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>The tokens that stand in this scheduler's files. They are in no database, so that none outlives its line.</summary>
public sealed class TokenFiles(IOptions<AccessOptions> options)
{
    // Guessing a token must be hopeless, whoever made it.
    private const int FewestCharacters = 20;

    // The one that is used, and the one that takes its place.
    private const int MostTokens = 2;

    /// <summary>Reads them, by their hashes.</summary>
    /// <exception cref="OptionsValidationException">A file gives no token to be used; the message names its setting.</exception>
    public IReadOnlyList<(byte[] Hash, Caller Caller)> Read()
    {
        var admin = Lines(nameof(AccessOptions.AdminTokenFile), options.Value.AdminTokenFile);
        var node = options.Value.NodeTokenFile.Length == 0 ? [] : Lines(nameof(AccessOptions.NodeTokenFile), options.Value.NodeTokenFile);
        if (admin.Intersect(node, StringComparer.Ordinal).Any())
            throw Refusal(nameof(AccessOptions.NodeTokenFile), options.Value.NodeTokenFile,
                "whose token is the administrator's too; make another one for the nodes");
        return
        [
            .. admin.Select(token => (AccessSecret.Hash(token), new Caller("admin", Scope.Admin) { TokenName = "token file" })),
            .. node.Select(token => (AccessSecret.Hash(token), new Caller("nodes", Scope.Node) { TokenName = "token file" })),
        ];
    }

    private static IReadOnlyList<string> Lines(string setting, string path)
    {
        if (!File.Exists(path))
            throw Refusal(setting, path, $"which does not exist; put a token of {FewestCharacters} characters or more there");
        var tokens = NotEmpty(setting, path);
        if (tokens.Count is 0 or > MostTokens)
            throw Refusal(setting, path, $"which has {tokens.Count} lines; put one token there, or {MostTokens} on a line each");
        return tokens.FirstOrDefault(token => token.Length < FewestCharacters) is { } weak
            ? throw Refusal(setting, path, $"whose token has {weak.Length} characters; use {FewestCharacters} or more")
            : tokens;
    }

    private static IReadOnlyList<string> NotEmpty(string setting, string path)
    {
        try
        {
            return TokenFile.Tokens(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Refusal(setting, path, $"which cannot be read ({fault.Message}); let user {Environment.UserName} read it");
        }
    }

    private static OptionsValidationException Refusal(string setting, string path, string problem) =>
        new(setting, typeof(AccessOptions), [$"{AccessOptions.SectionName}:{setting} is '{path}', {problem}"]);
}
