namespace Cluster.Contracts;

/// <summary>What a trainer process says with its exit code. Any other code, and any signal, is a failure to restart from.</summary>
public static class TrainerExit
{
    /// <summary>All steps are done and the last checkpoint is stored.</summary>
    public const int Done = 0;

    /// <summary>It was asked to stop, and wrote a checkpoint if the grace period allowed (EX_TEMPFAIL of sysexits.h).</summary>
    public const int Stopped = 75;

    /// <summary>The job cannot run as described, here or anywhere: no restart helps (EX_CONFIG of sysexits.h).</summary>
    public const int Misconfigured = 78;

    /// <summary>Whether the end calls for another attempt while the job has restarts left.</summary>
    public static bool CallsForRestart(int exitCode, int signal) => signal != 0 || exitCode is not (Done or Stopped or Misconfigured);
}
