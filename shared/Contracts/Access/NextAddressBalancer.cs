using Grpc.Core;
using Grpc.Net.Client.Balancer;

namespace Cluster.Contracts.Access;

/// <summary>
/// Keeps to one of several addresses as long as its connection lives, and goes on with the next when it is lost or cannot be made.
/// </summary>
/// <remarks>
/// gRPC's own pick_first has one time-out for a whole round of addresses, and begins each round with the first: a machine that is switched
/// off or cut off, which refuses nothing, uses it up every time, and the other addresses are never tried. Here each has its own.
/// gRPC calls a balancer under one lock, so this has none.
/// </remarks>
internal sealed class NextAddressBalancer(IChannelControlHelper controller) : LoadBalancer
{
    public const string Policy = "next_address";

    private readonly List<Subchannel> _subchannels = [];
    private readonly List<ConnectivityState> _states = [];
    private readonly HashSet<int> _failed = []; // since a connection was last there
    private int _current;
    private bool _disposed;

    /// <summary>Called once: the addresses are fixed.</summary>
    public override void UpdateChannelState(ChannelState state)
    {
        foreach (var address in state.Addresses ?? [])
        {
            var (index, subchannel) = (_subchannels.Count, controller.CreateSubchannel(new SubchannelOptions([address])));
            _subchannels.Add(subchannel);
            _states.Add(ConnectivityState.Idle);
            subchannel.OnStateChanged(changed => Change(index, changed));
        }

        RequestConnection();
    }

    public override void RequestConnection() => _subchannels[_current].RequestConnection();

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        _subchannels.ForEach(subchannel => subchannel.Dispose());
        base.Dispose(disposing);
    }

    private void Change(int index, SubchannelState changed)
    {
        if (_disposed)
            return;
        var before = _states[index];
        _states[index] = changed.State;
        switch (changed.State)
        {
            case ConnectivityState.Ready when index == _current || _states[_current] != ConnectivityState.Ready:
                Take(index);
                break;
            case ConnectivityState.Connecting when index == _current && _failed.Count < _subchannels.Count:
                Publish(ConnectivityState.Connecting, PickResult.ForQueue());
                break;
            // A connect that was not answered in time leaves it idle, as does a connection that is lost.
            case ConnectivityState.Idle or ConnectivityState.TransientFailure when index == _current:
                GoOn(wasReady: before == ConnectivityState.Ready, changed.Status);
                break;
        }
    }

    private void Take(int index)
    {
        _current = index;
        _failed.Clear();
        Publish(ConnectivityState.Ready, PickResult.ForSubchannel(_subchannels[index]));
    }

    private void GoOn(bool wasReady, Status status)
    {
        if (!wasReady)
            _failed.Add(_current);
        _current = (_current + 1) % _subchannels.Count;
        if (_states[_current] == ConnectivityState.Ready)
        {
            Take(_current);
        }
        else if (wasReady)
        {
            // Nobody may want it any more: connected is at the next call.
            controller.UpdateState(new BalancerState(ConnectivityState.Idle, new OnDemand(_subchannels[_current])));
        }
        else
        {
            if (_failed.Count < _subchannels.Count)
                Publish(ConnectivityState.Connecting, PickResult.ForQueue());
            else
                Publish(ConnectivityState.TransientFailure, PickResult.ForFailure(status));
            // One that was refused tries again by itself, after a pause.
            if (_states[_current] == ConnectivityState.Idle)
                RequestConnection();
        }
    }

    private void Publish(ConnectivityState state, PickResult result) =>
        controller.UpdateState(new BalancerState(state, new Always(result)));

    internal sealed class Factory : LoadBalancerFactory
    {
        public override string Name => Policy;

        public override LoadBalancer Create(LoadBalancerOptions options) => new NextAddressBalancer(options.Controller);
    }

    private sealed class Always(PickResult result) : SubchannelPicker
    {
        public override PickResult Pick(PickContext context) => result;
    }

    private sealed class OnDemand(Subchannel subchannel) : SubchannelPicker
    {
        public override PickResult Pick(PickContext context)
        {
            subchannel.RequestConnection();
            return PickResult.ForQueue();
        }
    }
}
