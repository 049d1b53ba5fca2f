using System.Collections;

namespace Grpc.Core;

/// <summary>
/// The headers or trailers of a call, in order, keys repeated where the sender repeated them. Keys are lower-case;
/// a key that ends in <c>-bin</c> holds bytes, which travel as base64.
/// </summary>
public sealed partial class Metadata : IList<Metadata.Entry>
{
    public const string BinaryHeaderSuffix = "-bin";

    /// <summary>An instance that refuses changes.</summary>
    public static readonly Metadata Empty = new() { IsReadOnly = true };

    private readonly List<Entry> entries = [];

    public int Count => entries.Count;

    public bool IsReadOnly { get; private init; }

    public Entry this[int index]
    {
        get => entries[index];
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            Writable()[index] = value;
        }
    }

    /// <summary>The last entry under a key, since the last one wins where one value is asked for; null when there is none.</summary>
    public Entry? Get(string key) => entries.FindLast(entry => entry.KeyEquals(key));

    /// <exception cref="InvalidOperationException">The entry is binary.</exception>
    public string? GetValue(string key) => Get(key)?.Value;

    public byte[]? GetValueBytes(string key) => Get(key)?.ValueBytes;

    public IEnumerable<Entry> GetAll(string key) => entries.Where(entry => entry.KeyEquals(key));

    public void Add(string key, string value) => Add(new Entry(key, value));

    public void Add(string key, byte[] valueBytes) => Add(new Entry(key, valueBytes));

    public void Add(Entry item)
    {
        ArgumentNullException.ThrowIfNull(item);
        Writable().Add(item);
    }

    public int IndexOf(Entry item) => entries.IndexOf(item);

    public void Insert(int index, Entry item)
    {
        ArgumentNullException.ThrowIfNull(item);
        Writable().Insert(index, item);
    }

    public void RemoveAt(int index) => Writable().RemoveAt(index);

    public bool Remove(Entry item) => Writable().Remove(item);

    public void Clear() => Writable().Clear();

    public bool Contains(Entry item) => entries.Contains(item);

    public void CopyTo(Entry[] array, int arrayIndex) => entries.CopyTo(array, arrayIndex);

    public IEnumerator<Entry> GetEnumerator() => entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private List<Entry> Writable() => IsReadOnly ? throw new InvalidOperationException("Object is read only.") : entries;
}
