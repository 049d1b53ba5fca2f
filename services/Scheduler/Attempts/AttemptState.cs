namespace Cluster.Scheduler.Attempts;

/// <summary>An attempt's life; stored by name.</summary>
public enum AttemptState
{
    /// <summary>Devices are granted; the agents have not all confirmed the launch.</summary>
    Launching = 0,

    /// <summary>Every agent has started its ranks.</summary>
    Launched = 1,

    /// <summary>Every rank's training loop has begun.</summary>
    Running = 2,

    /// <summary>A rank ended, or the job is to stop: all trainers are being ended.</summary>
    Ending = 3,

    /// <summary>Every trainer is gone, devices are free, and nothing is accepted from it any more.</summary>
    Ended = 4,
}
