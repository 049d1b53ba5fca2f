namespace Orleans.Runtime;

/// <summary>
/// Values that travel with a chain of grain calls, towards the callee only. Other <see cref="AsyncLocal{T}"/>s do not cross a call,
/// here as little as between machines.
/// </summary>
public static class RequestContext
{
    internal const string ReentrancyKey = "#CCR";

    internal static readonly AsyncLocal<Dictionary<string, object>?> Values = new();

    /// <summary>Names the call chain inside <see cref="AllowCallChainReentrancy"/>; <see cref="Guid.Empty"/> outside.</summary>
    public static Guid ReentrancyId
    {
        get => ReentrancyIdOf(Values.Value);
        set
        {
            if (value == Guid.Empty)
                Remove(ReentrancyKey);
            else
                Set(ReentrancyKey, value);
        }
    }

    /// <summary>Until disposed, calls made by this grain may lead back into it while it waits for them.</summary>
    public static ReentrancySection AllowCallChainReentrancy()
    {
        var original = ReentrancyId;
        return new ReentrancySection(original, original == Guid.Empty ? Guid.NewGuid() : original);
    }

    /// <summary>Until disposed, calls made by this grain may not lead back into any grain of the chain.</summary>
    public static ReentrancySection SuppressCallChainReentrancy() => new(ReentrancyId, Guid.Empty);

    public static object? Get(string key) => Values.Value is { } values && values.TryGetValue(key, out var value) ? value : null;

    /// <param name="key">The value's name.</param>
    /// <param name="value">A serializable value: it is copied at each call.</param>
    public static void Set(string key, object value) =>
        Values.Value = Values.Value is { } values ? new(values) { [key] = value } : new() { [key] = value };

    public static bool Remove(string key)
    {
        if (Values.Value is not { } values || !values.ContainsKey(key))
            return false;
        var remaining = new Dictionary<string, object>(values);
        remaining.Remove(key);
        Values.Value = remaining.Count == 0 ? null : remaining;
        return true;
    }

    public static void Clear() => Values.Value = null;

    internal static Guid ReentrancyIdOf(Dictionary<string, object>? values) =>
        values is not null && values.TryGetValue(ReentrancyKey, out var value) && value is Guid id ? id : Guid.Empty;

    /// <summary>Ends a change of the chain's reentrancy.</summary>
    public readonly struct ReentrancySection : IDisposable
    {
        private readonly Guid _original;
        private readonly Guid _current;

        public ReentrancySection(Guid originalReentrancyId, Guid newReentrancyId)
        {
            _original = originalReentrancyId;
            _current = newReentrancyId;
            if (_current != _original)
                ReentrancyId = _current;
            if (_current != Guid.Empty)
                RuntimeContext.Current?.EnterReentrantSection(_current);
        }

        public void Dispose()
        {
            if (_current != Guid.Empty)
                RuntimeContext.Current?.LeaveReentrantSection(_current);
            if (_current != _original)
                ReentrancyId = _original;
        }
    }
}
