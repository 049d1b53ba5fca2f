namespace Cluster.Worker.Collectives;

/// <summary>Messages to one peer, or from it: in order among themselves, beside everything else.</summary>
/// <param name="Thread">Carries those that are not waited for; started by the first of them.</param>
internal sealed record PeerLane(CommunicationThread Thread)
{
    private long _messages;

    public long NextNumber() => ++_messages;
}

/// <summary>A lane a peer and direction, made when first used.</summary>
internal sealed class PeerLanes(string name) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(int Peer, bool Sending), PeerLane> _lanes = [];

    public PeerLane Of(int peer, bool sending)
    {
        lock (_gate)
        {
            if (!_lanes.TryGetValue((peer, sending), out var lane))
                _lanes[(peer, sending)] = lane = new PeerLane(new CommunicationThread($"{name} {(sending ? "to" : "from")} {peer}"));
            return lane;
        }
    }

    public void Dispose()
    {
        foreach (var lane in _lanes.Values)
            lane.Thread.Dispose();
    }
}
