namespace Cluster.Search;

/// <summary>The trials that have come to one length, the best first, and which of them may train on.</summary>
internal sealed class Rung(IEnumerable<RungEntry> entries)
{
    private readonly List<RungEntry> _entries = [.. entries];

    public IReadOnlyList<RungEntry> Entries => _entries;

    /// <summary>
    /// Takes a trial in, behind those that are as good. One in <paramref name="divisor"/> may be promoted: this one if it is among them, or
    /// else another if there is now room for one more.
    /// </summary>
    /// <returns>Who is promoted by this; null: nobody.</returns>
    public int? Promote(int trial, double score, double divisor)
    {
        var (before, after) = ((int)(_entries.Count / divisor), (int)((_entries.Count + 1) / divisor));
        var place = Insert(trial, score, better: entry => entry.Score <= score);
        // Were the trial among them, whoever was the last of them before has been promoted already.
        var candidate = place < after ? place : before;
        if (candidate >= after || _entries[candidate].IsPromoted)
            return null;
        _entries[candidate] = _entries[candidate] with { IsPromoted = true };
        return _entries[candidate].Trial;
    }

    /// <summary>
    /// Takes a trial in, before those that are as good. It goes on if it is among the best one in <paramref name="divisor"/> of all that
    /// have come here, itself counted, or the very best of a few.
    /// </summary>
    public bool GoesOn(int trial, double score, double divisor)
    {
        var place = Insert(trial, score, better: entry => entry.Score < score);
        if (place >= Math.Max(1, (int)(_entries.Count / divisor)))
            return false;
        _entries[place] = _entries[place] with { IsPromoted = true };
        return true;
    }

    /// <summary>Takes a trial in where nobody is promoted any more.</summary>
    public void Add(int trial, double score) => Insert(trial, score, better: entry => entry.Score <= score);

    /// <summary>An invalid trial has never been here.</summary>
    public void Remove(int trial) => _entries.RemoveAll(entry => entry.Trial == trial);

    private int Insert(int trial, double score, Predicate<RungEntry> better)
    {
        var place = _entries.FindIndex(entry => !better(entry));
        if (place < 0)
            place = _entries.Count;
        _entries.Insert(place, new RungEntry(trial, score, IsPromoted: false));
        return place;
    }
}
