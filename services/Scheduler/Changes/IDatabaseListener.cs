namespace Cluster.Scheduler.Changes;

/// <summary>Hears what is told on a channel of Postgres' NOTIFY, over the one connection that listens.</summary>
public interface IDatabaseListener
{
    string ChannelName { get; }

    /// <summary>Called for each message, and with null when the connection is made: nobody here has heard what was told before.</summary>
    void Heard(string? message);
}
