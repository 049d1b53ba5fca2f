namespace Cluster.Worker.Collectives;

/// <summary>Messages to one peer, or from it: in order among themselves, beside everything else.</summary>
/// <param name="Thread">Carries those that are not waited for; started by the first of them.</param>
internal sealed record PeerLane(CommunicationThread Thread)
{
    private long messages;

    public long NextNumber() => ++messages;
}

/// <summary>A lane a peer and direction, made when first used.</summary>
internal sealed class PeerLanes(string name) : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<(int Peer, bool Sending), PeerLane> lanes = [];

    public PeerLane Of(int peer, bool sending)
    {
        lock (gate)
        {
            if (!lanes.TryGetValue((peer, sending), out var lane))
                lanes[(peer, sending)] = lane = new PeerLane(new CommunicationThread($"{name} {(sending ? "to" : "from")} {peer}"));
            return lane;
        }
    }

    public void Dispose()
    {
        foreach (var lane in lanes.Values)
            lane.Thread.Dispose();
    }
}
