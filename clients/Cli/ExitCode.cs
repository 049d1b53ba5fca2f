namespace Cluster.Cli;

/// <summary>What the process says with its exit code. Scripts build on these: numbers are never given another meaning.</summary>
internal static class ExitCode
{
    public const int Done = 0;

    /// <summary>The job that was followed failed or was cancelled, or the scheduler met a fault of its own.</summary>
    public const int Failed = 1;

    /// <summary>The command line or the job file is wrong: the same again would be refused again.</summary>
    public const int Usage = 2;

    /// <summary>No scheduler answers.</summary>
    public const int Unreachable = 3;

    /// <summary>The token is missing, unknown or of too small a scope.</summary>
    public const int Denied = 4;

    /// <summary>Understood and refused as things stand: no such job, or no cluster that could ever run it.</summary>
    public const int Refused = 5;

    /// <summary>Ctrl-C; a followed job goes on.</summary>
    public const int Interrupted = 130;

    public const string Help =
        """
        Exit codes: 0 done; 1 the job failed or was cancelled, or a fault of the scheduler; 2 wrong usage or job file;
        3 scheduler unreachable; 4 token missing or not sufficient; 5 no such job, or the cluster can never run it;
        130 interrupted (a followed job goes on).
        """;
}
