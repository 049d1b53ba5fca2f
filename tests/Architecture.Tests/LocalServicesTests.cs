using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Cluster.Architecture.Tests;

public sealed partial class LocalServicesTests
{
    [Fact]
    public void EverySettingOfUp_IsAnOptionOfTheProgram()
    {
        var script = File.ReadAllText(Repository.PathOf("deploy/local/services.sh"));

        var settings = Setting().Matches(script).Select(match => match.Groups["setting"].Value).Distinct().ToList();

        settings.ShouldNotBeEmpty();
        settings.ShouldAllBe(setting => OptionNames.All.Contains(setting));
    }

    /// <summary>Its own link, with the token in the address, would stay in browsers' histories, in terminals and in its log.</summary>
    [Fact]
    [SupportedOSPlatform("linux")]
    public void TelemetrysToken_IsInAFileOfItsUsers_AndInNoAddress_NoLog_AndNoArgument()
    {
        var state = Directory.CreateTempSubdirectory("cluster-tests-telemetry-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(state, "telemetry-token"), "the-token");
            File.WriteAllText(Path.Combine(state, "otlp-key"), "the-key");
            var settings = Path.Combine(state, "telemetry.json");
            var script = Repository.PathOf("deploy/local/telemetry.sh");

            using var bash = Process.Start(
                "bash", ["-c", "state=$1; . \"$2\"; write_telemetry_settings \"$3\"", "test", state, script, settings]);
            bash.WaitForExit();

            bash.ExitCode.ShouldBe(0);
            File.GetUnixFileMode(settings).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
            using var read = JsonDocument.Parse(File.ReadAllText(settings));
            var frontend = read.RootElement.GetProperty("Dashboard").GetProperty("Frontend");
            frontend.GetProperty("AuthMode").GetString().ShouldBe("BrowserToken");
            frontend.GetProperty("BrowserToken").GetString().ShouldBe("the-token");
            // It says where to sign in, with the token, at Information.
            read.RootElement.GetProperty("Logging").GetProperty("LogLevel").GetProperty("Aspire.Dashboard").GetString().ShouldBe("Warning");
            var text = File.ReadAllText(script);
            text.ShouldNotContain("login?t=");
            text.ShouldNotContain("BROWSERTOKEN=");
            text.ShouldNotContain("PRIMARYAPIKEY=");
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }

    [GeneratedRegex("\"(?<setting>[A-Za-z]+__[A-Za-z]+)=", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Setting();
}
