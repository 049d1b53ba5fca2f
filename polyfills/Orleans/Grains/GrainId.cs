namespace Orleans.Runtime;

/// <summary>A grain's identity: its type and its key. Prints as <c>type/key</c>.</summary>
public readonly struct GrainId : IEquatable<GrainId>
{
    private readonly string? _type;
    private readonly string? _key;

    internal GrainId(string type, string key)
    {
        _type = type;
        _key = key;
    }

    /// <summary>True of <c>default</c>, which names no grain.</summary>
    public bool IsDefault => _key is null;

    internal string KeyText => _key ?? "";

    public static bool operator ==(GrainId left, GrainId right) => left.Equals(right);

    public static bool operator !=(GrainId left, GrainId right) => !left.Equals(right);

    public bool Equals(GrainId other) =>
        string.Equals(_key, other._key, StringComparison.Ordinal) && string.Equals(_type, other._type, StringComparison.Ordinal);

    public override bool Equals(object? obj) => obj is GrainId other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(_type, _key);

    public override string ToString() => $"{_type}/{_key}";
}
