namespace Cluster.Worker.Data.Indexing;

/// <summary>This start of the machine: its monotonic clock, which all processes share, counts from there.</summary>
internal static class Boot
{
    public static readonly Guid Id = Read();

    private static Guid Read()
    {
        try
        {
            return Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return Guid.NewGuid(); // nothing is taken for a reading of another process of today
        }
    }
}
