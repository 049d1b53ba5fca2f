using System.Diagnostics;
using Cluster.Cli.Demo;

namespace Cluster.Cli.Tests.Demo;

public sealed class TrainerProcessesTests : IDisposable
{
    private readonly DirectoryInfo proc = Directory.CreateTempSubdirectory();

    [Fact]
    public void Of_FindsTheTrainersOfThatJobByRank()
    {
        Process("31", "/opt/Cluster.Worker", "trainer", "--job", Builders.JobId, "--attempt", "1", "--rank", "1");
        Process("44", "dotnet", "/opt/Cluster.Worker.dll", "trainer", "--job", Builders.JobId, "--attempt", "1", "--rank", "0");
        Process("45", "/opt/Cluster.Worker", "trainer", "--job", Guid.NewGuid().ToString("D"), "--attempt", "1", "--rank", "0");
        Process("46", "/opt/Cluster.Worker", "agent");
        Process("47", "grep", "trainer", "--job", Builders.JobId, "--rank", "0");
        Process("self", "/opt/Cluster.Worker", "trainer", "--job", Builders.JobId, "--rank", "2");
        proc.CreateSubdirectory("48");

        new TrainerProcesses(proc.FullName).Of(Builders.JobId).ShouldBe([(44, 0), (31, 1)]);
    }

    [Fact]
    public void Kill_EndsARealProcessAtOnce()
    {
        using var process = System.Diagnostics.Process.Start(
            new ProcessStartInfo("cat") { RedirectStandardInput = true, UseShellExecute = false })!;

        TrainerProcesses.Kill(process.Id).ShouldBeTrue();

        process.WaitForExit();
        // 128 + SIGKILL.
        process.ExitCode.ShouldBe(137);
        TrainerProcesses.Kill(process.Id).ShouldBeFalse();
    }

    public void Dispose() => proc.Delete(recursive: true);

    private void Process(string id, params string[] arguments) =>
        File.WriteAllText(Path.Combine(proc.CreateSubdirectory(id).FullName, "cmdline"), string.Join('\0', arguments) + '\0');
}
