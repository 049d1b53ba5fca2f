using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace TorchSharp.Utils;

/// <summary>Named parts of a module in the order of their registration; replacing one keeps its place.</summary>
public class OrderedDict<TKey, TValue> : IEnumerable<(TKey, TValue)> where TKey : notnull
{
    private readonly List<(TKey Key, TValue Value)> _list = [];

    public int Count => _list.Count;

    public TValue this[TKey key]
    {
        get => TryGetValue(key, out var value) ? value : throw new KeyNotFoundException($"{key} is not registered.");
        set
        {
            var index = IndexOf(key);
            if (index >= 0) _list[index] = (key, value);
            else _list.Add((key, value));
        }
    }

    public bool ContainsKey(TKey key) => IndexOf(key) >= 0;

    public void Add(TKey key, TValue value)
    {
        if (!TryAdd(key, value)) throw new ArgumentException($"{key} is registered already.", nameof(key));
    }

    public bool Remove(TKey key)
    {
        var index = IndexOf(key);
        if (index < 0) return false;
        _list.RemoveAt(index);
        return true;
    }

    public bool TryGetValue(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        var index = IndexOf(key);
        value = index < 0 ? default : _list[index].Value;
        return index >= 0;
    }

    public IEnumerator<(TKey, TValue)> GetEnumerator() => _list.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal bool TryAdd(TKey key, TValue value)
    {
        if (ContainsKey(key)) return false;
        _list.Add((key, value));
        return true;
    }

    private int IndexOf(TKey key) => _list.FindIndex(pair => EqualityComparer<TKey>.Default.Equals(pair.Key, key));
}

/// <summary>Registers a field under another name than its own.</summary>
[AttributeUsage(AttributeTargets.Field)]
public class ComponentNameAttribute : Attribute
{
    public string Name { get; set; } = "";
}
