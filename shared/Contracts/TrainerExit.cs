namespace Cluster.Contracts;

/// <summary>What a trainer process says with its exit code. Any other code, and any signal, is a failure to restart from.</summary>
public static class TrainerExit
{
    /// <summary>All steps are done and the last checkpoint is stored.</summary>
    public const int Done = 0;

    /// <summary>It was asked to stop, and wrote a checkpoint if the grace period allowed (EX_TEMPFAIL of sysexits.h).</summary>
    public const int Stopped = 75;

    /// <summary>
    /// The device, or the machine, has not the memory that the job asked for: the same job would ask again (EX_OSERR of sysexits.h). Not
    /// for a process that the kernel killed for want of memory: that may be another's fault, and the kernel leaves a signal.
    /// </summary>
    public const int OutOfMemory = 71;

    /// <summary>
    /// The node no longer has the job's data, which is the agent's word and takes the place of the trainer's own end: the job waits for a
    /// node that has it (EX_NOINPUT of sysexits.h).
    /// </summary>
    public const int DataGone = 66;

    /// <summary>The job cannot run as described, here or anywhere: no restart helps (EX_CONFIG of sysexits.h).</summary>
    public const int Misconfigured = 78;

    /// <summary>Whether the end calls for another attempt while the job has restarts left.</summary>
    public static bool CallsForRestart(int exitCode, int signal) =>
        signal != 0 || exitCode is not (Done or Stopped or OutOfMemory or DataGone or Misconfigured);
}
