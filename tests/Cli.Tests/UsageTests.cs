using Grpc.Core;

namespace Cluster.Cli.Tests;

public sealed class UsageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Required argument missing for command: 'submit'; see ./cluster job submit --help", "job", "submit")]
    [InlineData("Required command was not provided; see ./cluster job --help", "job")]
    [InlineData("Unrecognized command or argument 'x'; see ./cluster job list --help", "job", "list", "x")]
    [InlineData(
        "JOB is zzzz but must be 4 to 32 hexadecimal digits of a job's id; ./cluster job list shows them; see ./cluster job watch --help",
        "job", "watch", "zzzz")]
    [InlineData(
        "--limit is 0 but must be at least 1; use a number such as 100; see ./cluster job list --help", "job", "list", "--limit", "0")]
    [InlineData(
        "--tail is -1 but must not be negative; use 0 or more; see ./cluster job logs --help", "job", "logs", "0f3c", "--tail", "-1")]
    [InlineData("server is localhost but must be an address; write it as http://127.0.0.1:7070, or several with commas between", "job",
        "list", "--server", "localhost")]
    [InlineData("the token holds characters that no token has; copy it again, on one line", "job", "list", "--token", "a\nb")]
    public async Task WrongUsage_IsOneLineAndExitCode2(string line, params string[] arguments)
    {
        var run = new CliRun();

        (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(line + "\n");
        run.Out.ShouldBeEmpty();
    }

    [Fact]
    public async Task Help_NamesTheExitCodesAndWhichPriorityWins()
    {
        var (root, submit) = (new CliRun(), new CliRun());

        (await root.RunAsync(Cancellation, "--help")).ShouldBe(ExitCode.Done);
        (await submit.RunAsync(Cancellation, "job", "submit", "--help")).ShouldBe(ExitCode.Done);

        root.Out.ShouldContain("Exit codes: 0 done; 1 the job failed");
        root.Out.ShouldNotContain("demo-run");
        submit.Out.ShouldContain("a larger priority number wins");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("other")]
    public async Task NoOrAWrongToken_IsExitCode4(string? token)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster).With("CLUSTER_TOKEN", token);

        (await run.RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Denied);

        run.Error.ShouldBe($"the scheduler at {cluster.Address} refuses the token given by --token, CLUSTER_TOKEN or CLUSTER_TOKEN_FILE: "
            + "no token given, or one nobody knows\n");
    }

    [Fact]
    public async Task Token_ComesFromTheOptionThenTheVariableThenTheFile()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, FakeCluster.Token + "\n", Cancellation);
            (await new CliRun(cluster).With("CLUSTER_TOKEN", null).With("CLUSTER_TOKEN_FILE", file).RunAsync(Cancellation, "node", "list"))
                .ShouldBe(ExitCode.Done);
            (await new CliRun(cluster).With("CLUSTER_TOKEN_FILE", "/nowhere").RunAsync(Cancellation, "node", "list"))
                .ShouldBe(ExitCode.Done);
            (await new CliRun(cluster).With("CLUSTER_TOKEN", "other").RunAsync(Cancellation, "node", "list", "--token", FakeCluster.Token))
                .ShouldBe(ExitCode.Done);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task ATokenFileThatCannotBeRead_IsNamed()
    {
        var run = new CliRun().With("CLUSTER_TOKEN", null).With("CLUSTER_TOKEN_FILE", "/nowhere/token");

        (await run.RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Usage);

        run.Error.ShouldStartWith("CLUSTER_TOKEN_FILE is /nowhere/token but cannot be read (");
    }

    [Fact]
    public async Task AnUnknownJob_IsExitCode5()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Get = _ => throw new RpcException(new Status(StatusCode.NotFound, "job_id is ffff but no job begins so; list the jobs"));
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "job", "describe", "ffff")).ShouldBe(ExitCode.Refused);

        run.Error.ShouldBe("job_id is ffff but no job begins so; list the jobs\n");
    }
}
