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
        script.Out.TrimEnd().Split('\n').Except(known).ShouldBe(["bench", "data", "demo", "down", "help", "setup", "test", "up"]);
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
