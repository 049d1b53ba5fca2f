using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

/// <summary>deploy/telemetry's rules, by Prometheus' own tool.</summary>
public sealed partial class AlertTests
{
    private const string Promtool = "/usr/bin/promtool";

    private static string Folder => Repository.PathOf("deploy/telemetry");

    [Theory]
    [InlineData("check", "config", "prometheus.yaml")]
    [InlineData("test", "rules", "alerts.tests.yaml")]
    public async Task Promtool_FindsNothing(params string[] arguments)
    {
        Assert.SkipUnless(File.Exists(Promtool), "promtool is not installed: it comes with Debian's prometheus");
        using var promtool = Process.Start(new ProcessStartInfo(Promtool, arguments)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var cancelled = TestContext.Current.CancellationToken;
        var (output, error) = (promtool.StandardOutput.ReadToEndAsync(cancelled), promtool.StandardError.ReadToEndAsync(cancelled));
        await promtool.WaitForExitAsync(cancelled);

        promtool.ExitCode.ShouldBe(0, $"{await output}\n{await error}");
    }

    /// <summary>Of an alert that nobody expects anywhere a test would say nothing.</summary>
    [Fact]
    public void EveryAlert_IsExpectedSomewhere_AndSomewhereNot()
    {
        var alerts = Alert().Matches(File.ReadAllText(Path.Combine(Folder, "alerts.yaml"))).Select(alert => alert.Groups["name"].Value);
        var tests = Expectation().Matches(File.ReadAllText(Path.Combine(Folder, "alerts.tests.yaml")))
            .Select(test => (Name: test.Groups["name"].Value, Fires: test.Groups["fires"].Success)).ToList();

        foreach (var alert in alerts)
        {
            tests.ShouldContain((alert, true));
            tests.ShouldContain((alert, false));
        }
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Alert();

    [GeneratedRegex(@"- alertname: (?<name>\w+)\n\s+eval_time: \w+\n(?<fires>\s+exp_alerts:)?", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Expectation();
}
