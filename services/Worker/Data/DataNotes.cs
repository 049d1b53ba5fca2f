namespace Cluster.Worker.Data;

/// <summary>
/// What listing a data set tells beside its samples: how far it is, and what is not trained on, in words: no fault, but nothing to be
/// silent about.
/// </summary>
public sealed class DataNotes
{
    /// <summary>Of a thousand classes with a stray file each nobody reads a thousand lines.</summary>
    private const int MostTold = 20;

    private readonly List<string> told = [];
    private int more;
    private long seen;

    /// <summary>In the order in which they came.</summary>
    public IReadOnlyList<string> Told => more == 0 ? told : [.. told, $"and {more} more notes of this kind about the data set"];

    /// <summary>Files, folders and entries looked at so far, for whoever waits. Safe from any thread.</summary>
    public long Seen => Interlocked.Read(ref seen);

    /// <summary>So many more have been looked at.</summary>
    public void See(int entries) => Interlocked.Add(ref seen, entries);

    public void Add(string note)
    {
        if (told.Count < MostTold)
            told.Add(note);
        else
            more++;
    }
}
