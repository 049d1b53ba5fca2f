using System.CommandLine;
using Cluster.Cli.Connection;
using Cluster.Cli.Rendering;

namespace Cluster.Cli;

/// <summary>The options that every verb takes.</summary>
internal sealed class CommonOptions
{
    public Option<string?> Server { get; } = new("--server")
    {
        Description = "the scheduler's address, or several with commas between (otherwise CLUSTER_SERVER, otherwise http://127.0.0.1:7070)",
        HelpName = "URL",
        Recursive = true,
    };

    public Option<string?> Token { get; } = new("--token")
    {
        Description = "access token; others on this machine can see it, so prefer CLUSTER_TOKEN_FILE or CLUSTER_TOKEN",
        HelpName = "TOKEN",
        Recursive = true,
    };

    public Option<bool> Json { get; } = new("--json")
    {
        Description = "print protobuf JSON: one document, or one a line where it follows",
        Recursive = true,
    };
}

/// <summary>What a verb's body is given.</summary>
/// <param name="Connection">Not yet connected: the first call does that.</param>
internal sealed record VerbContext(CliHost Host, ClusterConnection Connection, Output Output, ParseResult Arguments)
{
    public bool Json => Output.IsJson;
}

/// <summary>Makes commands whose bodies are guarded and have a connection.</summary>
internal sealed class VerbFactory(CliHost host, CommonOptions common)
{
    public Command Verb(string name, string description, Func<VerbContext, CancellationToken, Task<int>> body)
    {
        var command = new Command(name, description);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var server = parsed.GetValue(common.Server) ?? Setting("CLUSTER_SERVER") ?? ClusterConnection.DefaultServer;
            return await CommandLine.GuardAsync(host, server, async () =>
            {
                using var connection = ClusterConnection.To(server, Token(parsed), host.Pings);
                var output = new Output(host, parsed.GetValue(common.Json));
                return await body(new VerbContext(host, connection, output, parsed), cancellationToken);
            }, cancellationToken);
        });
        return command;
    }

    private string? Token(ParseResult parsed)
    {
        if ((parsed.GetValue(common.Token) ?? Setting("CLUSTER_TOKEN")) is { } token)
            return token;
        if (Setting("CLUSTER_TOKEN_FILE") is not { } file)
            return null;
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CliException(
                ExitCode.Usage, $"CLUSTER_TOKEN_FILE is {file} but cannot be read ({fault.Message}); name a file that holds a token");
        }
    }

    private string? Setting(string name) => host.Environment(name) is { Length: > 0 } value ? value : null;
}
