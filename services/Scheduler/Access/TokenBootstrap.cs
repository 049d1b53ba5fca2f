using Cluster.Contracts.V1;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Access;

/// <summary>Makes the tokens of <see cref="AccessOptions"/> known before the first call is served.</summary>
public sealed class TokenBootstrap(TokenRegister tokens, IOptions<AccessOptions> options) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await tokens.AddAsync(Read(nameof(AccessOptions.AdminTokenFile), options.Value.AdminTokenFile), "admin", Scope.Admin, cancellationToken);
        await tokens.AddAsync(Read(nameof(AccessOptions.NodeTokenFile), options.Value.NodeTokenFile), "nodes", Scope.Node, cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static string Read(string setting, string path)
    {
        // Guessing a token must be hopeless, whoever made it.
        const int fewestCharacters = 20;
        if (!File.Exists(path))
            throw new OptionsValidationException(setting, typeof(AccessOptions), [$"{AccessOptions.SectionName}:{setting} is '{path}', which does not exist; put a token of {fewestCharacters} characters or more there"]);
        var token = File.ReadLines(path).FirstOrDefault("").Trim();
        return token.Length >= fewestCharacters
            ? token
            : throw new OptionsValidationException(setting, typeof(AccessOptions), [$"{AccessOptions.SectionName}:{setting} is '{path}', whose token has {token.Length} characters; use {fewestCharacters} or more"]);
    }
}
