namespace Cluster.Worker.Collectives;

/// <content>Messages between two ranks. Each pair and direction has its own order, apart from that of the collective calls.</content>
public sealed partial class CollectiveGroup
{
    public unsafe void Send<T>(ReadOnlySpan<T> values, int destination, string operation)
        where T : unmanaged
    {
        var lane = LaneTo(destination, nameof(destination));
        lane.Thread.Drain();
        fixed (T* start = values)
            RunSend(lane, (nint)start, (long)values.Length * sizeof(T), destination, operation);
    }

    public unsafe void Receive<T>(Span<T> values, int source, string operation)
        where T : unmanaged
    {
        var lane = LaneFrom(source, nameof(source));
        lane.Thread.Drain();
        fixed (T* start = values)
            RunReceive(lane, (nint)start, (long)values.Length * sizeof(T), source, operation);
    }

    public unsafe Task SendAsync<T>(nint address, long count, int destination, string operation)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var lane = LaneTo(destination, nameof(destination));
        return lane.Thread.Run(() => RunSend(lane, address, count * sizeof(T), destination, operation));
    }

    public unsafe Task ReceiveAsync<T>(nint address, long count, int source, string operation)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var lane = LaneFrom(source, nameof(source));
        return lane.Thread.Run(() => RunReceive(lane, address, count * sizeof(T), source, operation));
    }

    private void RunSend(PeerLane lane, nint address, long bytes, int destination, string operation) =>
        Run(lane, destination, bytes, operation, (in call) => _transport.Send(address, bytes, destination, call));

    private void RunReceive(PeerLane lane, nint address, long bytes, int source, string operation) =>
        Run(lane, source, bytes, operation, (in call) => _transport.Receive(address, bytes, source, call));

    private void Run(PeerLane lane, int peer, long bytes, string operation, Exchange exchange)
    {
        ThrowIfUnusable();
        Run(
            new Operation(OperationKind.PointToPoint, null, operation, bytes, lane.NextNumber(), _members, _setup.Options.OperationTimeout),
            _members.JobRank(peer), exchange);
    }

    private PeerLane LaneTo(int peer, string name) => Lane(peer, sending: true, name);

    private PeerLane LaneFrom(int peer, string name) => Lane(peer, sending: false, name);

    private PeerLane Lane(int peer, bool sending, string name)
    {
        RequireRank(peer, name);
        if (peer == Rank)
            throw new ArgumentOutOfRangeException(name, peer, FormattableString.Invariant($"{name} is this rank itself"));
        ObjectDisposedException.ThrowIf(_disposed && _fault is null, this);
        return _lanes.Of(peer, sending);
    }
}
