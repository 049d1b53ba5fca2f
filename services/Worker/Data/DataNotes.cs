namespace Cluster.Worker.Data;

/// <summary>What a data set has that is not trained on, in words: no fault, but nothing to be silent about.</summary>
public sealed class DataNotes
{
    /// <summary>Of a thousand classes with a stray file each nobody reads a thousand lines.</summary>
    private const int MostTold = 20;

    private readonly List<string> told = [];
    private int more;

    /// <summary>In the order in which they came.</summary>
    public IReadOnlyList<string> Told => more == 0 ? told : [.. told, $"and {more} more notes of this kind about the data set"];

    public void Add(string note)
    {
        if (told.Count < MostTold)
            told.Add(note);
        else
            more++;
    }
}
