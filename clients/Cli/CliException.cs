namespace Cluster.Cli;

/// <summary>An end of the command that a person can understand: one line, and the exit code that goes with it.</summary>
internal sealed class CliException(int exitCode, string line) : Exception(line)
{
    public int ExitCode { get; } = exitCode;
}
