using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>What /proc/PID/stat says of a process.</summary>
/// <param name="StartTicks">When it started, in clock ticks since boot: with the id it names a process for good.</param>
/// <param name="CpuSeconds">Processor time of all its threads.</param>
internal readonly record struct ProcessTimes(long StartTicks, double CpuSeconds)
{
    // USER_HZ is 100 on every Linux that .NET runs on.
    private const double TicksPerSecond = 100;

    /// <summary>Null when there is no such process, or only its unreaped remains.</summary>
    public static ProcessTimes? TryRead(int processId)
    {
        string text;
        try
        {
            text = File.ReadAllText($"/proc/{processId}/stat");
        }
        catch (IOException)
        {
            return null;
        }

        // The second field is the program's name in brackets, and may hold blanks and brackets itself.
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        const int state = 0, userTime = 11, systemTime = 12, startTime = 19;
        if (fields[state] is "Z" or "X")
            return null;
        var ticks = Field(userTime) + Field(systemTime);
        return new ProcessTimes(Field(startTime), ticks / TicksPerSecond);

        long Field(int index) => long.Parse(fields[index], CultureInfo.InvariantCulture);
    }
}
