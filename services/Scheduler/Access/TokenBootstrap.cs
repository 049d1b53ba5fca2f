using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>
/// Makes the tokens of <see cref="AccessOptions"/> known before the first call is served, and withdraws those that stood there before.
/// </summary>
public sealed partial class TokenBootstrap(TokenRegister tokens, IOptions<AccessOptions> options, ILogger<TokenBootstrap> logger)
    : IHostedService
{
    // Guessing a token must be hopeless, whoever made it.
    private const int FewestCharacters = 20;

    /// <exception cref="OptionsValidationException">A file gives no token to be used; the message names its setting.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var admin = Read(nameof(AccessOptions.AdminTokenFile), options.Value.AdminTokenFile);
        var node = Read(nameof(AccessOptions.NodeTokenFile), options.Value.NodeTokenFile);
        if (admin == node)
            throw Refusal(nameof(AccessOptions.NodeTokenFile), options.Value.NodeTokenFile,
                "whose token is the administrator's too; make another one for the nodes");
        await PutAsync(admin, "admin", Scope.Admin, cancellationToken);
        await PutAsync(node, "nodes", Scope.Node, cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task PutAsync(string token, string owner, Scope scope, CancellationToken cancellationToken)
    {
        await tokens.AddAsync(token, owner, scope, cancellationToken);
        // A token is replaced because the one before is no longer trusted.
        var withdrawn = await tokens.WithdrawOthersAsync(token, owner, scope, cancellationToken);
        if (withdrawn > 0)
            LogWithdrawn(owner, withdrawn);
    }

    private static string Read(string setting, string path)
    {
        if (!File.Exists(path))
            throw Refusal(setting, path, $"which does not exist; put a token of {FewestCharacters} characters or more there");
        var token = FirstLine(setting, path);
        return token.Length >= FewestCharacters
            ? token
            : throw Refusal(setting, path, $"whose token has {token.Length} characters; use {FewestCharacters} or more");
    }

    private static string FirstLine(string setting, string path)
    {
        try
        {
            return File.ReadLines(path).FirstOrDefault("").Trim();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw Refusal(setting, path, $"which cannot be read ({fault.Message}); let user {Environment.UserName} read it");
        }
    }

    private static OptionsValidationException Refusal(string setting, string path, string problem) =>
        new(setting, typeof(AccessOptions), [$"{AccessOptions.SectionName}:{setting} is '{path}', {problem}"]);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "The token file of {Owner} has a new token; {Withdrawn} earlier ones are withdrawn")]
    private partial void LogWithdrawn(string owner, int withdrawn);
}
