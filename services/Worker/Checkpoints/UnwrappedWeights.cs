namespace Cluster.Worker.Checkpoints;

/// <summary>
/// Weights that were saved with the module around the network: DataParallel's <c>module.</c>, torch.compile's <c>_orig_mod.</c>, a
/// trainer's own.
/// </summary>
internal sealed class UnwrappedWeights : IWeights
{
    private readonly IWeights _wrapped;

    private UnwrappedWeights(IWeights wrapped, string prefix) => (_wrapped, Prefix) = (wrapped, prefix);

    /// <summary>With the dot at its end.</summary>
    public string Prefix { get; }

    public long BytesRead => _wrapped.BytesRead;

    public IEnumerable<string> WeightNames => _wrapped.WeightNames.Select(name => name[Prefix.Length..]);

    /// <summary>Leaves out the parts that all names begin with, until a name is the network's.</summary>
    /// <param name="weights">As stored.</param>
    /// <param name="wanted">The network's names.</param>
    /// <returns>Null where a name is the network's as it is, or none is without any prefix.</returns>
    public static UnwrappedWeights? TryUnwrap(IWeights weights, IReadOnlySet<string> wanted)
    {
        var names = weights.WeightNames.ToList();
        if (names.Count == 0 || names.Exists(wanted.Contains))
            return null;
        for (var dot = names[0].IndexOf('.'); dot >= 0; dot = names[0].IndexOf('.', dot + 1))
        {
            var prefix = names[0][..(dot + 1)];
            if (!names.TrueForAll(name => name.StartsWith(prefix, StringComparison.Ordinal)))
                return null;
            if (names.Exists(name => wanted.Contains(name[prefix.Length..])))
                return new UnwrappedWeights(weights, prefix);
        }

        return null;
    }

    public IReadOnlyList<long> GlobalShape(string name) => _wrapped.GlobalShape(Prefix + name);

    public Task<string> DTypeAsync(string name, CancellationToken cancellationToken) =>
        _wrapped.DTypeAsync(Prefix + name, cancellationToken);

    public Task<byte[]> ReadSliceAsync(
        string name, IReadOnlyList<long> offset, IReadOnlyList<long> shape, CancellationToken cancellationToken) =>
        _wrapped.ReadSliceAsync(Prefix + name, offset, shape, cancellationToken);
}
