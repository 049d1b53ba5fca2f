using System.Diagnostics;

namespace Cluster.Cli.Tests;

/// <summary>Which program <c>./cluster</c> calls as the client.</summary>
public sealed class ScriptTests : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("cluster-script-");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Built => Path.Combine(_root.FullName, "artifacts", "bin", "Cli", "release");

    private string Published => Path.Combine(_root.FullName, "artifacts", "publish", "Cli", "release");

    public void Dispose() => _root.Delete(recursive: true);

    [Fact]
    public async Task Client_IsThePublishedProgram()
    {
        Lay(Built, hour: 1);
        Lay(Published, hour: 2);

        (await ClientAsync()).ShouldBe(Path.Combine(Published, "Cluster.Cli"));
        (await ClientAsync(("CLUSTER_PREBUILT", "1"))).ShouldBe(Path.Combine(Built, "Cluster.Cli"), "what the tests were built with");
    }

    /// <summary>Also where it is only a library of it that has changed.</summary>
    [Theory]
    [InlineData("Cluster.Cli.dll")]
    [InlineData("Cluster.Contracts.dll")]
    public async Task Client_ThatWasBuiltAnewSince_IsTheBuiltOne(string assembly)
    {
        Lay(Built, hour: 1);
        Lay(Published, hour: 2);
        File.SetLastWriteTimeUtc(Path.Combine(Built, assembly), At(3));

        (await ClientAsync()).ShouldBe(Path.Combine(Built, "Cluster.Cli"));
    }

    [Fact]
    public async Task Client_ThatIsNotPublished_IsTheBuiltOne()
    {
        Lay(Built, hour: 1);

        (await ClientAsync()).ShouldBe(Path.Combine(Built, "Cluster.Cli"));
    }

    private static DateTime At(int hour) => new(2026, 5, 1, hour, 0, 0, DateTimeKind.Utc);

    private static void Lay(string folder, int hour)
    {
        Directory.CreateDirectory(folder);
        foreach (var name in new[] { "Cluster.Cli", "Cluster.Cli.dll", "Cluster.Contracts.dll" })
        {
            var file = Path.Combine(folder, name);
            File.WriteAllText(file, "");
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            File.SetLastWriteTimeUtc(file, At(hour));
        }
    }

    private async Task<string> ClientAsync(params (string Name, string Value)[] environment)
    {
        var script = Path.Combine(Repository.Root, "deploy", "local", "build.sh");
        var start = new ProcessStartInfo("bash", ["-euc", $"root={_root.FullName}; source {script}; client_program"])
        {
            RedirectStandardOutput = true,
        };
        start.Environment.Remove("CLUSTER_PREBUILT");
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(Cancellation);
        await process.WaitForExitAsync(Cancellation);
        process.ExitCode.ShouldBe(0);
        return output;
    }
}
