using System.CommandLine;
using System.CommandLine.Parsing;
using Cluster.Cli.Connection;
using Cluster.Cli.Rendering;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Google.Protobuf;

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

    public Option<string?> Authority { get; } = new("--ca-file")
    {
        Description = "PEM file with the authority of the scheduler's certificate, for https:// (otherwise CLUSTER_CA_FILE, otherwise the "
            + "system's)",
        HelpName = "FILE",
        Recursive = true,
    };

    public Option<bool> Json { get; } = new("--json")
    {
        Description = "print protobuf JSON: one document, or one a line where it follows",
        Recursive = true,
    };
}

/// <summary>What a verb's body is given.</summary>
/// <param name="Opening">Made when it is first asked for: not every verb calls anybody.</param>
internal sealed record VerbContext(CliHost Host, Lazy<ClusterConnection> Opening, Output Output, ParseResult Arguments)
{
    /// <summary>Not yet connected: the first call does that.</summary>
    public ClusterConnection Connection => Opening.Value;

    public bool Json => Output.IsJson;
}

/// <summary>What the body of a verb is given that needs no scheduler.</summary>
internal sealed record LocalContext(CliHost Host, Output Output, ParseResult Arguments);

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
                var opening = new Lazy<ClusterConnection>(() => ClusterConnection.To(
                    server, Token(parsed), host.Pings, Certificates(parsed)));
                try
                {
                    var output = new Output(host, parsed.GetValue(common.Json));
                    return await body(new VerbContext(host, opening, output, parsed), cancellationToken);
                }
                finally
                {
                    if (opening.IsValueCreated)
                        opening.Value.Dispose();
                }
            }, cancellationToken);
        });
        return command;
    }

    /// <summary>A verb that prints a table: for people, as CSV with --csv, or what it is made of as JSON.</summary>
    /// <param name="read">Everything that is to be shown.</param>
    /// <param name="rest">Of what was read, the token of a page that was not; null: it is always all.</param>
    public Command Table<T>(
        string name, string description, Func<VerbContext, CancellationToken, Task<T>> read, Func<VerbContext, T, ColumnTable> table,
        Func<T, string>? rest = null)
        where T : IMessage
    {
        var csv = CsvOption();
        var command = Verb(name, description, async (context, cancellationToken) =>
        {
            var found = await read(context, cancellationToken);
            if (context.Json)
                await context.Output.DocumentAsync(found);
            else
                await context.Output.TableAsync(table(context, found), context.Arguments.GetValue(csv));
            // A list that ends early must not look whole.
            if (rest?.Invoke(found).Length > 0)
                await context.Output.RemarkAsync("there are more than these; --limit N shows up to N");
            return ExitCode.Done;
        });
        command.Options.Add(csv);
        command.Validators.Add(result => Check(result, csv));
        return command;
    }

    public static Option<bool> CsvOption() => new("--csv") { Description = "print the table as CSV" };

    /// <summary>Of two forms neither is the one that is meant.</summary>
    public void Check(CommandResult result, Option<bool> csv)
    {
        if (result.GetValue(csv) && result.GetValue(common.Json))
            result.AddError("--csv and --json are two forms of one answer; give one of them");
    }

    public Command LocalVerb(string name, string description, Func<LocalContext, Task> body)
    {
        var command = new Command(name, description);
        command.SetAction((parsed, cancellationToken) => CommandLine.GuardAsync(host, server: "", async () =>
        {
            await body(new LocalContext(host, new Output(host, parsed.GetValue(common.Json)), parsed));
            return ExitCode.Done;
        }, cancellationToken));
        return command;
    }

    private CertificateFiles? Certificates(ParseResult parsed)
    {
        if ((parsed.GetValue(common.Authority) ?? Setting("CLUSTER_CA_FILE")) is not { } file)
            return null;
        try
        {
            return new CertificateFiles(new TlsOptions { AuthorityFile = file });
        }
        catch (InvalidDataException)
        {
            throw new CliException(
                ExitCode.Usage, $"--ca-file or CLUSTER_CA_FILE is {file}, which holds no certificate; name the authority's PEM file");
        }
    }

    private string? Token(ParseResult parsed)
    {
        if ((parsed.GetValue(common.Token) ?? Setting("CLUSTER_TOKEN")) is { } token)
            return token;
        if (Setting("CLUSTER_TOKEN_FILE") is not { } file)
            return null;
        try
        {
            return TokenFile.Newest(file);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CliException(
                ExitCode.Usage, $"CLUSTER_TOKEN_FILE is {file} but cannot be read ({fault.Message}); name a file that holds a token");
        }
    }

    private string? Setting(string name) => host.Environment(name) is { Length: > 0 } value ? value : null;
}
