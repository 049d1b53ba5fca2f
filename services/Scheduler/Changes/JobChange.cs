namespace Cluster.Scheduler.Changes;

/// <summary>What of a job is new. Whoever watches names what it wants to hear of, and sleeps through the rest.</summary>
[Flags]
public enum JobChange
{
    None = 0,

    /// <summary>An event: another state, another attempt.</summary>
    State = 1,

    /// <summary>Why it waits.</summary>
    Queue = 2,

    Progress = 4,

    Metrics = 8,

    Logs = 16,

    /// <summary>The last rank of an attempt has come to a rendezvous.</summary>
    Rendezvous = 32,

    /// <summary>A checkpoint is whole.</summary>
    Checkpoint = 64,

    /// <summary>Of no job: an agent has registered, so that there is somebody to ask.</summary>
    Agents = 128,

    All = State | Queue | Progress | Metrics | Logs | Rendezvous | Checkpoint | Agents,
}
