using System.CommandLine;
using System.CommandLine.Completions;

namespace Cluster.Cli.Completions;

/// <summary>completion SHELL, which prints a script, and the hidden verb that such a script asks.</summary>
internal static class CompletionVerbs
{
    private const string Ask = "complete";

    /// <summary>What the script ./cluster does itself, where it is that which calls this program: it says so by CLUSTER_ROOT.</summary>
    private static readonly string[] OfTheScript =
        ["setup", "up", "down", "backup", "restore", "demo", "test", "bench", "data", "help"];

    /// <summary>Each completes a command called cluster, wherever it lies, by asking it; files where that knows no word.</summary>
    private static readonly Dictionary<string, string> Scripts = new(StringComparer.Ordinal)
    {
        ["bash"] =
            $$"""
            # source <(./cluster completion bash)
            _cluster_complete() {
              local line=${COMP_LINE:0:COMP_POINT}
              # Bash cuts words at = and : too; what lies before the last of these is not its to replace.
              local word=${COMP_WORDS[COMP_CWORD]}
              mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" {{Ask}} -- "${line#* }" 2>/dev/null)" -- "$word")
            }
            complete -o default -F _cluster_complete cluster ./cluster

            """,
        ["zsh"] =
            $$"""
            # source <(./cluster completion zsh), after compinit
            _cluster_complete() {
              local line="${LBUFFER#* }"
              local -a found
              found=(${(f)"$(${words[1]} {{Ask}} -- "$line" 2>/dev/null)"})
              if (( $#found )); then
                compadd -- $found
              else
                _files
              fi
            }
            compdef _cluster_complete cluster ./cluster

            """,
        ["fish"] =
            $$"""
            # ./cluster completion fish | source
            function _cluster_complete
              set -l words (commandline -opc)
              set -l line (string join ' ' -- $words[2..-1])
              test -n "$line"; and set line "$line "
              set -l word (commandline -ct)
              set -l found ($words[1] {{Ask}} -- "$line$word" 2>/dev/null)
              if set -q found[1]
                printf '%s\n' $found
              else
                __fish_complete_path "$word"
              end
            end
            complete -c cluster -f -a '(_cluster_complete)'

            """,
    };

    public static Command BuildCompletion(VerbFactory verbs)
    {
        var shell = new Argument<string>("SHELL") { Description = string.Join(", ", Scripts.Keys) };
        shell.AcceptOnlyFromAmong([.. Scripts.Keys]);
        const string about = "Print a script that completes this program's words in a shell; its first line says how to use it.";
        var command = verbs.Verb("completion", about, async (context, _) =>
        {
            await context.Output.BlockAsync(Scripts[context.Arguments.GetRequiredValue(shell)]);
            return ExitCode.Done;
        });
        command.Arguments.Add(shell);
        return command;
    }

    /// <param name="root">The tree of verbs, once it is whole.</param>
    public static Command BuildComplete(VerbFactory verbs, Func<Command> root)
    {
        var line = new Argument<string>("LINE") { Description = "what has been written behind the program's name" };
        var command = verbs.Verb(Ask, "Print what may follow, a word a line.", async (context, _) =>
        {
            var written = context.Arguments.GetRequiredValue(line);
            var begun = written[(written.LastIndexOf(' ') + 1)..];
            var isOfTheScript = context.Host.Environment("CLUSTER_ROOT") is not null;
            // Of its own verbs' words only the script knows, and a word of another verb would keep a shell from offering files.
            if (isOfTheScript && begun.Length < written.Length && OfTheScript.Contains(written.Split(' ')[0]))
                return ExitCode.Done;
            var parsed = root().Parse(written);
            // Behind a flag the parser thinks of its values alone.
            var words = (begun.StartsWith('-')
                    ? parsed.CommandResult.Command.GetCompletions(CompletionContext.Empty)
                    : parsed.GetCompletions(written.Length))
                .Select(completion => completion.Label)
                // Options only for who asks for them, and none as Windows writes them.
                .Where(word => word.StartsWith(begun, StringComparison.Ordinal) && (begun.Length > 0 || word[0] is not ('-' or '/')));
            if (isOfTheScript && begun.Length == written.Length)
                words = words.Concat(OfTheScript.Where(word => word.StartsWith(written, StringComparison.Ordinal)));
            foreach (var word in words.Distinct().Order(StringComparer.Ordinal))
                await context.Output.LineAsync(word);
            return ExitCode.Done;
        });
        command.Hidden = true;
        command.Arguments.Add(line);
        return command;
    }
}
