namespace Cluster.Worker.Collectives;

/// <summary>The operations of a rank's groups that are pending, for who asks from another thread.</summary>
public sealed class OperationBoard
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, (Operation Operation, int? Peer)> _pending = [];
    private long _lastId;

    /// <summary>
    /// The exchange that has been pending the longest: "an all-reduce of 40 bytes (sum of float32) 'gradients/3'"; null: none is.
    /// </summary>
    public string? Oldest()
    {
        lock (_gate)
        {
            if (_pending.Count == 0)
                return null;
            var (operation, peer) = _pending.First().Value;
            return $"{Operation.Words(operation.Signature, operation.Bytes)} '{operation.Name}'"
                + (peer is { } other ? FormattableString.Invariant($" with rank {other}") : "");
        }
    }

    /// <returns>What <see cref="End"/> wants to know.</returns>
    internal long Begin(in Operation operation, int? peer)
    {
        lock (_gate)
        {
            _pending.Add(++_lastId, (operation, peer));
            return _lastId;
        }
    }

    internal void End(long id)
    {
        lock (_gate)
            _pending.Remove(id);
    }
}
