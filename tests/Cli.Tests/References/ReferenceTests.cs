namespace Cluster.Cli.Tests.References;

public sealed class ReferenceTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Reference_IsWhatTheHelpSays()
    {
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "reference")).ShouldBe(ExitCode.Done, run.Error);

        var stored = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "cli.md"), Cancellation);
        stored.ShouldBe(run.Out, "docs/cli.md is made from the help; make it anew: ./cluster reference >docs/cli.md");
    }

    [Fact]
    public async Task Reference_HasEveryVerbWithItsOptions()
    {
        var run = new CliRun();

        await run.RunAsync(Cancellation, "reference");

        run.Out.ShouldContain("\n## ./cluster job logs\n");
        run.Out.ShouldContain("--grep <PATTERN>");
        run.Out.ShouldNotContain("demo-run");
        run.Out.Split('\n').Where(line => line.Length > 140).ShouldBeEmpty();
    }
}
