using System.Diagnostics;

namespace Cluster.Cli.Tests.Completions;

public sealed class CompletionTests
{
    /// <summary>As it is built, not as it is copied beside these tests, where it lacks what they have of a framework.</summary>
    private static string Program { get; } = Path.Combine(
        AppContext.BaseDirectory, "..", "..", "Cli", new DirectoryInfo(AppContext.BaseDirectory).Name, "Cluster.Cli");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("job l", "list", "logs")]
    [InlineData("run ", "compare", "export", "list", "predictions", "tensorboard")]
    [InlineData("completion ", "bash", "fish", "zsh")]
    [InlineData("job list --st", "--state")]
    [InlineData("job list --state ca", "cancelled")]
    [InlineData("run list --csv --so", "--sort")]
    public async Task Complete_PrintsWhatMayFollow(string line, params string[] words)
    {
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "complete", "--", line)).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe(string.Concat(words.Select(word => word + "\n")));
    }

    [Fact]
    public async Task Complete_OfTheFirstWord_KnowsWhatTheScriptDoesItself_WhereThatCalls()
    {
        var (script, alone) = (new CliRun().With("CLUSTER_ROOT", "/somewhere"), new CliRun());

        await script.RunAsync(Cancellation, "complete", "--", "");
        await alone.RunAsync(Cancellation, "complete", "--", "");

        var known = alone.Out.TrimEnd().Split('\n');
        known.ShouldContain("job");
        known.ShouldNotContain("up");
        known.ShouldNotContain("complete");
        script.Out.TrimEnd().Split('\n').Except(known).ShouldBe(await OfTheScriptAsync());
    }

    /// <summary>Of the script's words the program knows nothing, and any that it made up would keep a shell from offering files.</summary>
    [Theory]
    [InlineData("backup ")]
    [InlineData("restore fi")]
    [InlineData("job submit fi")]
    public async Task Complete_OfWhatMayBeAFile_PrintsNothing(string line)
    {
        var run = new CliRun().With("CLUSTER_ROOT", "/somewhere");

        (await run.RunAsync(Cancellation, "complete", "--", line)).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBeEmpty();
    }

    /// <summary>By bash itself, with this very program.</summary>
    [Theory]
    [InlineData("cluster job li", "list")]
    [InlineData("cluster job list --sta", "--state")]
    public async Task BashScript_CompletesTheWordUnderTheCursor(string line, string word)
    {
        var script = new CliRun();
        await script.RunAsync(Cancellation, "completion", "bash");
        var test =
            $$"""
            cluster() { "$PROGRAM" "$@"; }
            {{script.Out}}
            COMP_LINE='{{line}}' COMP_POINT={{line.Length}}
            read -ra COMP_WORDS <<<"$COMP_LINE"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _cluster_complete
            printf '%s\n' "${COMPREPLY[@]}"
            """;

        (await RunAsync("bash", ["-euc", test])).ShouldBe(word + "\n");
    }

    /// <summary>By fish itself, likewise.</summary>
    [Theory]
    [InlineData("cluster job li", "list")]
    [InlineData("cluster job list --sta", "--state")]
    public async Task FishScript_CompletesTheWordUnderTheCursor(string line, string word)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/fish"), "fish is not installed");
        var script = new CliRun();
        await script.RunAsync(Cancellation, "completion", "fish");
        var test =
            $"""
            function cluster; $PROGRAM $argv; end
            {script.Out}
            complete --do-complete '{line}'
            """;

        (await RunAsync("/usr/bin/fish", ["--no-config", "-c", test])).ShouldBe(word + "\n");
    }

    /// <summary>Where the program knows no word, fish offers files.</summary>
    [Fact]
    public async Task FishScript_WhereThereIsNoWord_OffersFiles()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/fish"), "fish is not installed");
        var (script, folder) = (new CliRun(), Directory.CreateTempSubdirectory("cluster-completion-"));
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "some-job.yaml"), "", Cancellation);
        await script.RunAsync(Cancellation, "completion", "fish");
        var test =
            $"""
            function cluster; $PROGRAM $argv; end
            {script.Out}
            complete --do-complete 'cluster job submit {folder.FullName}/some-'
            """;

        (await RunAsync("/usr/bin/fish", ["--no-config", "-c", test])).ShouldContain($"{folder.FullName}/some-job.yaml");

        folder.Delete(recursive: true);
    }

    /// <summary>By zsh itself, but for its line editor: what the function would add is printed.</summary>
    [Theory]
    [InlineData("cluster job li", "list\n")]
    [InlineData("cluster job list --sta", "--state\n")]
    [InlineData("cluster job submit some-", "files\n")]
    public async Task ZshScript_AddsTheWordsThatMayFollow_AndFilesWhereThereAreNone(string line, string added)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/zsh"), "zsh is not installed");
        var script = new CliRun();
        await script.RunAsync(Cancellation, "completion", "zsh");
        var test =
            $$"""
            compdef() { : }
            compadd() { print -l -- "${@:2}" }
            _files() { print files }
            {{script.Out}}
            cluster() { $PROGRAM "$@" }
            words=(${(z)1}) LBUFFER=$1
            _cluster_complete
            """;

        (await RunAsync("/usr/bin/zsh", ["--no-rcs", "-c", test, "zsh", line])).ShouldBe(added);
    }

    [Theory]
    [InlineData("zsh", "/usr/bin/zsh", "-n")]
    [InlineData("fish", "/usr/bin/fish", "--no-execute")]
    public async Task Script_OfAnotherShell_IsOne(string shell, string program, string check)
    {
        Assert.SkipUnless(File.Exists(program), $"{shell} is not installed");
        var (script, file) = (new CliRun(), Path.GetTempFileName());
        await script.RunAsync(Cancellation, "completion", shell);
        await File.WriteAllTextAsync(file, script.Out, Cancellation);

        await RunAsync(program, [check, file]);

        File.Delete(file);
    }

    /// <summary>The words of ./cluster's own cases, but for those that are the client's.</summary>
    private static async Task<IEnumerable<string>> OfTheScriptAsync() =>
        (await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "cluster"), Cancellation))
            .SkipWhile(line => !line.StartsWith("case $command", StringComparison.Ordinal))
            .Select(line => line.Split(')')[0].Split('|')[0])
            .Where(label => label.StartsWith("  ", StringComparison.Ordinal) && label.Trim().All(char.IsAsciiLetterLower))
            .Select(label => label.Trim()).Order(StringComparer.Ordinal);

    private static async Task<string> RunAsync(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PROGRAM"] = Program },
        };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0, await error);
        return await output;
    }
}
