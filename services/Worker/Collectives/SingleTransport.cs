namespace Cluster.Worker.Collectives;

/// <summary>A group of one: every sum is what it was.</summary>
internal sealed class SingleTransport : CollectiveTransport
{
    public override string Name => "single";

    public override void AllReduce<T>(Span<T> values, in Operation operation)
    {
    }

    public override void ReduceScatter<T>(ReadOnlySpan<T> input, Span<T> output, in Operation operation) => input.CopyTo(output);

    public override void AllGather(ReadOnlySpan<byte> input, Span<byte> output, in Operation operation) => input.CopyTo(output);

    public override void Broadcast(Span<byte> values, int root, in Operation operation)
    {
    }

    public override void Send(ReadOnlySpan<byte> values, int destination, in Operation operation) => throw NoPeer();

    public override void Receive(Span<byte> values, int source, in Operation operation) => throw NoPeer();

    public override void Barrier(in Operation operation)
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
