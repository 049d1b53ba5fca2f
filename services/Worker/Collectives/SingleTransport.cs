using Cluster.Worker.Collectives.Reductions;

namespace Cluster.Worker.Collectives;

/// <summary>A group of one: every sum is what it was.</summary>
internal sealed class SingleTransport : CollectiveTransport
{
    public override string Name => "single";

    public override void AllReduce(nint values, long count, Reduction reduction, in Operation operation)
    {
    }

    public override void ReduceScatter(nint input, nint output, in Shares shares, Reduction reduction, in Operation operation) =>
        Copy(input, output, shares.Count * reduction.ElementBytes);

    public override void AllGather(nint input, nint output, in Shares shares, int elementBytes, in Operation operation) =>
        Copy(input, output, shares.Count * elementBytes);

    public override void Broadcast(nint values, long bytes, int root, in Operation operation)
    {
    }

    public override void Send(nint values, long bytes, int destination, in Operation operation) => throw NoPeer();

    public override void Receive(nint values, long bytes, int source, in Operation operation) => throw NoPeer();

    public override void Barrier(in Operation operation)
    {
    }

    public override void RequirePeers(in Operation operation)
    {
    }

    public override void Abort(int culprit)
    {
    }

    public override void Dispose()
    {
    }

    private static InvalidOperationException NoPeer() => new("a group of one rank has no peer to send to or to receive from");
}
