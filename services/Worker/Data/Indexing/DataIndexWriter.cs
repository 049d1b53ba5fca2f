namespace Cluster.Worker.Data.Indexing;

/// <summary>A new index, written beside the old one and put in its place when it is whole.</summary>
/// <param name="aside">Where it is written.</param>
/// <param name="stream">To there.</param>
/// <param name="maxBytes">That it may have.</param>
internal sealed class DataIndexWriter(string aside, Stream stream, long maxBytes) : IDisposable
{
    private readonly BinaryWriter _writer = new(stream);
    private readonly Dictionary<string, IndexEntry> _entries = new(StringComparer.Ordinal);
    private readonly MemoryStream _record = new();
    private long _at;
    private long _tableBytes;

    public bool Has(string path) => _entries.ContainsKey(path);

    /// <summary>False where it would be larger than it may.</summary>
    /// <param name="path">What was read.</param>
    /// <param name="reading">Of the entry what is known before.</param>
    /// <param name="write">Writes the record.</param>
    public bool TryAdd(string path, IndexEntry reading, Action<BinaryWriter> write)
    {
        _record.SetLength(0);
        using (var record = new BinaryWriter(_record, System.Text.Encoding.UTF8, leaveOpen: true))
            write(record);
        var bytes = _record.GetBuffer().AsSpan(0, (int)_record.Length);
        return TryAppend(path, reading with { Checksum = Checksum.Of(bytes) }, bytes);
    }

    /// <summary>Takes a record over from another index. False where this one would be larger than it may; a record that is damaged is
    /// left out.</summary>
    public bool TryCopy(string path, DataIndexFile from, IndexEntry entry) =>
        from.Read(entry) is not { } bytes || TryAppend(path, entry, bytes);

    /// <summary>Puts it in its place.</summary>
    /// <param name="path">There.</param>
    /// <param name="tooLargeFor">The limit that the listing did not fit into: then that is all it says.</param>
    public void Commit(string path, long tooLargeFor = 0)
    {
        Begin();
        var tableAt = _at;
        using var table = new MemoryStream();
        using (var writer = new BinaryWriter(table, System.Text.Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(Boot.Id.ToByteArray());
            writer.Write(tooLargeFor);
            writer.Write(_entries.Count);
            foreach (var (entryPath, entry) in _entries)
                Write(writer, entryPath, entry);
        }

        var bytes = table.GetBuffer().AsSpan(0, (int)table.Length);
        _writer.Write(bytes);
        _writer.Write(tableAt);
        _writer.Write((long)bytes.Length);
        Checksum.Of(bytes).Write(_writer);
        _writer.Flush();
        stream.Dispose();
        File.Move(aside, path, overwrite: true);
    }

    /// <summary>Removes what is not committed.</summary>
    public void Dispose()
    {
        try
        {
            _writer.Dispose();
        }
        catch (IOException)
        {
            // A full disk: what is still to be written is not wanted.
        }

        IndexFolder.Remove(aside);
    }

    private bool TryAppend(string path, IndexEntry entry, ReadOnlySpan<byte> bytes)
    {
        const int entryBytes = 160;
        Begin();
        _tableBytes += entryBytes + System.Text.Encoding.UTF8.GetByteCount(path);
        if (_at + bytes.Length + _tableBytes + DataIndexFile.FooterBytes > maxBytes)
            return false;
        _writer.Write(bytes);
        _entries[path] = entry with { Offset = _at, Bytes = bytes.Length };
        _at += bytes.Length;
        return true;
    }

    private void Begin()
    {
        if (_at > 0)
            return;
        _writer.Write(DataIndexFile.Magic);
        _at = DataIndexFile.Magic.Length;
    }

    private static void Write(BinaryWriter writer, string path, IndexEntry entry)
    {
        writer.Write(path);
        entry.Stamp.Write(writer);
        writer.Write(entry.IsSettled);
        writer.Write(entry.ReadAt);
        writer.Write(entry.Offset);
        writer.Write(entry.Bytes);
        entry.Checksum.Write(writer);
    }
}
