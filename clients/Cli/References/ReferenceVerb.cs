using System.CommandLine;
using System.Text;

namespace Cluster.Cli.References;

/// <summary>The hidden verb reference, which prints docs/cli.md: the help of each verb, so that there is one text to keep true.</summary>
internal static class ReferenceVerb
{
    private const int Width = 100;

    public static Command Build(VerbFactory verbs)
    {
        var command = verbs.Verb("reference", "Print the reference, for docs/cli.md.", async (context, cancellationToken) =>
        {
            await context.Output.BlockAsync(await MarkdownAsync(context.Host, cancellationToken));
            return ExitCode.Done;
        });
        command.Hidden = true;
        return command;
    }

    private static async Task<string> MarkdownAsync(CliHost host, CancellationToken cancellationToken)
    {
        var text = new StringBuilder(
            """
            # Command line

            What `./cluster VERB --help` says, for every verb. Remake this page with `./cluster reference >docs/cli.md`.

            On a machine without the repository it is a .NET tool, or one file that needs no .NET. Both start as quickly:

            ```sh
            dotnet pack clients/Cli -o packages && dotnet tool install --global Cluster.Cli --source packages    # cluster
            dotnet publish clients/Cli -r linux-x64 -p:SingleFile=true -o file && mv file/Cluster.Cli ~/bin/cluster
            ```

            There `CLUSTER_SERVER` names the scheduler, `CLUSTER_TOKEN_FILE` the token's file and `CLUSTER_CA_FILE` the authority's. What is
            called `./cluster` here and in messages is `cluster` then; `up`, `down`, `demo` and their like are the script's alone.

            """);
        var root = CommandLine.Tree(host with { IsTerminal = true, Width = Width });
        foreach (var path in Verbs([], root))
        {
            var help = new StringWriter();
            var parsed = root.Parse([.. path, "--help"]);
            await parsed.InvokeAsync(new InvocationConfiguration { Output = help, Error = help }, cancellationToken);
            text.Append($"\n## {string.Join(' ', path.Prepend(root.Name))}\n\n```text\n");
            foreach (var line in help.ToString().Trim().Split('\n'))
                text.Append(line.TrimEnd()).Append('\n');
            text.Append("```\n");
        }

        return text.ToString();
    }

    private static IEnumerable<string[]> Verbs(string[] path, Command command) =>
        command.Subcommands.Where(verb => !verb.Hidden).SelectMany(verb => Verbs([.. path, verb.Name], verb)).Prepend(path);
}
