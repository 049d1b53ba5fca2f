namespace Cluster.Worker.Data;

/// <summary>
/// What listing a data set tells beside its samples: how far it is, and what is not trained on, in words: no fault, but nothing to be
/// silent about.
/// </summary>
public sealed class DataNotes
{
    /// <summary>Of a thousand classes with a stray file each nobody reads a thousand lines.</summary>
    private const int MostTold = 20;

    private readonly List<string> _told = [];
    private int _more;
    private long _seen;

    /// <summary>In the order in which they came.</summary>
    public IReadOnlyList<string> Told => _more == 0 ? _told : [.. _told, $"and {_more} more notes of this kind about the data set"];

    /// <summary>Files, folders and entries looked at so far, for whoever waits. Safe from any thread.</summary>
    public long Seen => Interlocked.Read(ref _seen);

    /// <summary>Is told of <see cref="Seen"/> at each step, by the thread that looks.</summary>
    internal Action<long>? Seeing { get; set; }

    /// <summary>So many more have been looked at.</summary>
    public void See(long entries)
    {
        Interlocked.Add(ref _seen, entries);
        Seeing?.Invoke(Seen);
    }

    public void Add(string note)
    {
        if (_told.Count < MostTold)
            _told.Add(note);
        else
            _more++;
    }
}
