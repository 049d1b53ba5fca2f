using Cluster.Worker.Agent;

namespace Cluster.Worker.Tests.Agent;

public sealed class ProcessEndTests
{
    [Theory]
    [InlineData(0, 0, 0, "exit code 0")]
    [InlineData(75, 75, 0, "exit code 75")]
    [InlineData(128, 128, 0, "exit code 128")]
    [InlineData(137, 0, 9, "signal 9 (SIGKILL)")]
    [InlineData(139, 0, 11, "signal 11 (SIGSEGV)")]
    [InlineData(255, 255, 0, "exit code 255")]
    public void Decode_TellsSignalsFromCodes(int code, int exitCode, int signal, string text)
    {
        var end = ProcessEnd.Decode(code);

        end.ShouldBe(new ProcessEnd(exitCode, signal));
        end.ToString().ShouldBe(text);
    }
}
