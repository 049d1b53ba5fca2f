using Cluster.Worker.Data.Pictures;

namespace Cluster.Worker.Data.Indexing;

/// <summary>What a rank reads an index by.</summary>
internal sealed record DataIndexSetup
{
    /// <summary>The node's, which all ranks of all jobs share.</summary>
    public required IndexFolder Folder { get; init; }

    public required DataIndexOptions Options { get; init; }

    /// <summary>Is told how far others are that this rank waits for.</summary>
    public required DataNotes Notes { get; init; }

    public required ILogger Logger { get; init; }

    public required TimeProvider TimeProvider { get; init; }

    /// <summary>Whether this rank says, for all of its node, that no index can be kept.</summary>
    public bool SpeaksForNode { get; init; } = true;
}

/// <summary>
/// What the folders and shards of a data set hold, as a rank of this node has read it, for all that read it later: each is looked at
/// again, and read again only
/// if it has changed.
/// </summary>
/// <remarks>
/// A reading serves a rank in two cases. It began after this rank asked: then it is as good as the rank's own. Or the folder or shard is
/// still the one that was
/// read, by its <see cref="FileStamp"/>, which had settled by then. What is new is read under a lock, by one rank of the node; the
/// others wait and take over.
/// Without a folder that can be written to, each rank reads for itself, as it does without an index.
/// </remarks>
internal sealed partial class DataIndex : IDisposable
{
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan TellAfter = TimeSpan.FromSeconds(1);

    private readonly DataIndexSetup _setup;
    private readonly CancellationToken _cancellationToken;
    private readonly DataIndexLock _lock;
    private readonly Dictionary<string, IndexEntry> _used = new(StringComparer.Ordinal);
    private readonly HashSet<string> _anew = new(StringComparer.Ordinal);
    private readonly long _askedAt;
    private DataIndexFile? _current;
    private DataIndexWriter? _writer;
    private bool _isOff;
    private long _toldAt;

    /// <param name="setup">Where it is, and how to use it.</param>
    /// <param name="cancellationToken">Ends the wait for another rank.</param>
    public DataIndex(DataIndexSetup setup, CancellationToken cancellationToken)
    {
        (_setup, _cancellationToken) = (setup, cancellationToken);
        _lock = new DataIndexLock(setup.Folder.Lock);
        _askedAt = _toldAt = setup.TimeProvider.GetTimestamp();
        Open();
        setup.Folder.Touch();
        setup.Notes.Seeing = Tell;
    }

    /// <summary>Folders and shards that were read anew.</summary>
    public int Fresh => _anew.Count;

    /// <summary>What is at a path: by the index, or read anew and kept.</summary>
    /// <param name="path">A folder or a shard.</param>
    /// <param name="read">Reads it. What this throws is not kept.</param>
    /// <param name="write">Writes a record of it.</param>
    /// <param name="decode">Reads the record; null where it does not do, and the path is to be read.</param>
    public T Get<T>(string path, Func<T> read, Action<BinaryWriter, T> write, Func<BinaryReader, T?> decode)
        where T : class
    {
        if (Find(path, decode) is { } known)
            return known;
        if (TakeTurn() && Find(path, decode) is { } told)
        {
            _lock.Release();
            return told;
        }

        var (now, readAt) = (_setup.TimeProvider.GetUtcNow(), _setup.TimeProvider.GetTimestamp());
        var stamp = FileCalls.Stamp(path);
        var found = read();
        _anew.Add(path);
        var isSettled = stamp is { } before && before.IsSettled(now, _setup.Options.SettleTime) && FileCalls.Stamp(path) == before;
        Keep(path, new IndexEntry(stamp.GetValueOrDefault(), isSettled, readAt, 0, 0, default), writer => write(writer, found));
        return found;
    }

    /// <summary>Digests of the samples that were read: those that another rank has taken since this one asked, or its own, which others
    /// may wait for.</summary>
    public long[] Digests(Func<long[]> take) => TakeOnce(_setup.Folder.Digests, take);

    /// <summary>Sums over pixels of the samples that were read, likewise.</summary>
    /// <param name="decoding">Of the samples.</param>
    /// <param name="take">Adds them up.</param>
    public long[] PixelSums(Decoding decoding, Func<long[]> take) =>
        TakeOnce(_setup.Folder.PixelSums(decoding.Channels, decoding.MaxPixels), take);

    /// <summary>All is read: publishes what is new, for others and for later.</summary>
    public void Complete()
    {
        LogRead(_setup.Logger, _used.Count - Fresh, Fresh);
        Publish(_used.Keys);
    }

    /// <summary>What was read before a fault counts too: other ranks will find the same fault.</summary>
    public void Dispose()
    {
        Publish(_current?.Entries.Keys ?? []);
        _setup.Notes.Seeing = null;
        _current?.Dispose();
        _lock.Dispose();
    }

    private T? Find<T>(string path, Func<BinaryReader, T?> decode)
        where T : class
    {
        if (_current is null || !_current.Entries.TryGetValue(path, out var entry) || !Serves(path, entry))
            return null;
        if (_current.Read(entry) is not { } record)
            return null;
        try
        {
            using var reader = new BinaryReader(new MemoryStream(record));
            if (decode(reader) is not { } found)
                return null;
            _used[path] = entry;
            return found;
        }
        catch (Exception e) when (e is IOException or FormatException or InvalidDataException)
        {
            return null;
        }
    }

    private long[] TakeOnce(string path, Func<long[]> take)
    {
        if (Find() is { } known)
            return known;
        if (TakeTurn() && Find() is { } told)
        {
            _lock.Release();
            return told;
        }

        // Of what nobody else has read alike nobody waits for the figures.
        var isForOthers = _lock.IsHeld && ReadsByCurrent();
        if (!isForOthers)
            _lock.Release();
        var takenAt = _setup.TimeProvider.GetTimestamp();
        var figures = take();
        if (isForOthers)
            TryKeeping(() => KeptFigures.Keep(path, _setup.Folder.Aside, _current!.Checksum, takenAt, figures));
        _lock.Release();
        return figures;

        long[]? Find() => ReadsByCurrent() ? KeptFigures.Find(path, _current!.Checksum, _askedAt) : null;
    }

    private bool Serves(string path, IndexEntry entry) =>
        entry.ReadAt >= _askedAt || (entry.IsSettled && FileCalls.Stamp(path) == entry.Stamp);

    /// <summary>Whether all that this rank has read stands in the index.</summary>
    private bool ReadsByCurrent() =>
        _current is { } index && _used.All(used => index.Entries.TryGetValue(used.Key, out var entry) && entry.IsSameReading(used.Value));

    /// <summary>Waits until no other rank reads. False where that is not to be waited for, and where this rank has had its turn
    /// before.</summary>
    private bool TakeTurn()
    {
        if (_isOff || _lock.IsHeld)
            return false;
        TryKeeping(() =>
        {
            _setup.Folder.Create();
            WaitForLock();
        });
        if (_isOff)
            return false;
        Open();
        return true;
    }

    private void WaitForLock()
    {
        var (time, told, toldAt) = (_setup.TimeProvider, 0L, _setup.TimeProvider.GetTimestamp());
        while (!_lock.TryTake())
        {
            var entries = _lock.Progress;
            if (entries != told)
            {
                _setup.Notes.See(Math.Max(0, entries - told));
                (told, toldAt) = (entries, time.GetTimestamp());
            }
            else if (time.GetElapsedTime(toldAt) > _setup.Options.Patience)
            {
                LogImpatient(_setup.Logger, _setup.Options.Patience.TotalSeconds);
                _isOff = true;
                return;
            }

            if (_cancellationToken.WaitHandle.WaitOne(LookAgainAfter))
                _cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private void Keep(string path, IndexEntry reading, Action<BinaryWriter> write)
    {
        _used[path] = reading;
        if (!_lock.IsHeld)
            return;
        TryKeeping(() =>
        {
            _writer ??= NewWriter();
            if (!_writer.TryAdd(path, reading, write))
                GiveUpAsTooLarge();
        });
    }

    private void Publish(IEnumerable<string> kept)
    {
        if (_writer is not null)
        {
            TryKeeping(() =>
            {
                foreach (var path in kept.Where(path => !_writer.Has(path)))
                {
                    if (_current?.Entries.TryGetValue(path, out var entry) == true && !_writer.TryCopy(path, _current, entry))
                    {
                        GiveUpAsTooLarge();
                        return;
                    }
                }

                _writer.Commit(_setup.Folder.Index);
                Open();
                _setup.Folder.Trim(_setup.Options);
            });
            _writer?.Dispose();
            _writer = null;
        }

        _lock.Release();
    }

    private DataIndexWriter NewWriter()
    {
        _setup.Folder.RemoveUnfinished();
        var aside = _setup.Folder.Aside;
        return new DataIndexWriter(aside, File.Create(aside), _setup.Options.MaxBytes);
    }

    private void Open()
    {
        _current?.Dispose();
        _current = _isOff ? null : DataIndexFile.Open(_setup.Folder.Index);
        if (_current is { TooLargeFor: > 0 } marked && marked.TooLargeFor >= _setup.Options.MaxBytes)
            TurnOff("the listing is larger than DataIndex__MaxBytes; raise it");
    }

    private void GiveUpAsTooLarge()
    {
        _writer!.Dispose();
        _writer = NewWriter();
        _writer.Commit(_setup.Folder.Index, tooLargeFor: _setup.Options.MaxBytes);
        Open();
    }

    /// <summary>Whatever becomes of the index, the data set is read.</summary>
    private void TryKeeping(Action keep)
    {
        try
        {
            keep();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            TurnOff(e.Message);
        }
    }

    private void TurnOff(string reason)
    {
        _isOff = true;
        _writer?.Dispose();
        _writer = null;
        _current?.Dispose();
        _current = null;
        _lock.Release();
        if (_setup.SpeaksForNode)
            LogOff(_setup.Logger, reason);
    }

    private void Tell(long entries)
    {
        if (!_lock.IsHeld || _setup.TimeProvider.GetElapsedTime(_toldAt) < TellAfter)
            return;
        _lock.Tell(entries);
        _toldAt = _setup.TimeProvider.GetTimestamp();
    }

    [LoggerMessage(LogLevel.Information, "Read the data set's listing: {Known} folders and shards by this node's index, {Fresh} anew")]
    private static partial void LogRead(ILogger logger, int known, int fresh);

    [LoggerMessage(LogLevel.Warning, "No index of the data set can be kept ({Reason}): every rank lists it for itself, now and each time")]
    private static partial void LogOff(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning,
        "Another rank of this node that lists the data set has got no further for {Seconds} s (DataIndex__Patience); listing it here too")]
    private static partial void LogImpatient(ILogger logger, double seconds);
}
