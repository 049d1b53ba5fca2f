using System.Globalization;

namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Whether the process behind a rank still runs, also where its id was given to another one meanwhile.</summary>
internal static class ProcessIdentity
{
    private const int StateField = 3;
    private const int StartTimeField = 22;

    /// <summary>Clock ticks after boot at which the process started; null when it runs no more (a zombie does not run).</summary>
    public static long? StartOf(int processId)
    {
        string stat;
        try
        {
            stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat"));
        }
        catch (IOException)
        {
            return null; // no such process, or it went while it was read
        }
        catch (UnauthorizedAccessException)
        {
            return null; // another user's: it took over the id
        }

        // The second field is the command in brackets and may hold spaces: count from the last bracket.
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        var state = fields[StateField - 3];
        return state is "Z" or "X" ? null : long.Parse(fields[StartTimeField - 3], CultureInfo.InvariantCulture);
    }
}
