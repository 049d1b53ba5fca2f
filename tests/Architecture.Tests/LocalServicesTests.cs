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

    [GeneratedRegex("\"(?<setting>[A-Za-z]+__[A-Za-z]+)=", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Setting();
}
