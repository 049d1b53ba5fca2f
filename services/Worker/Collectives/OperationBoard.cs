namespace Cluster.Worker.Collectives;

/// <summary>What a rank's groups are at, for who asks from another thread.</summary>
public sealed class OperationBoard
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, (Operation Operation, int? Peer)> _underWay = [];
    private long _begun;

    /// <summary>
    /// The exchange that has been under way the longest: "an all-reduce of 40 bytes (sum of float32) 'gradients/3'"; null: none is.
    /// </summary>
    public string? Oldest()
    {
        lock (_gate)
        {
            if (_underWay.Count == 0)
                return null;
            var (operation, peer) = _underWay.First().Value;
            return $"{Operation.Words(operation.Signature, operation.Bytes)} '{operation.Name}'"
                + (peer is { } other ? FormattableString.Invariant($" with rank {other}") : "");
        }
    }

    /// <returns>What <see cref="End"/> wants to know.</returns>
    internal long Begin(in Operation operation, int? peer)
    {
        lock (_gate)
        {
            _underWay.Add(++_begun, (operation, peer));
            return _begun;
        }
    }

    internal void End(long begun)
    {
        lock (_gate)
            _underWay.Remove(begun);
    }
}
