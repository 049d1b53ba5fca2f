using System.Globalization;

namespace Cluster.Worker.Devices;

/// <summary>Memory of this machine, or of the container that the process is confined to. In bytes.</summary>
/// <param name="procFolder">Where the kernel's process file system is mounted.</param>
/// <param name="cgroupFolder">Where the control groups are.</param>
internal sealed class MachineMemory(string procFolder = "/proc", string cgroupFolder = "/sys/fs/cgroup")
{
    /// <summary>All there is.</summary>
    public long TotalBytes() => Math.Min(Meminfo("MemTotal"), Limit());

    /// <summary>What could still be taken without pushing anything out or being killed.</summary>
    public long AvailableBytes()
    {
        var available = Meminfo("MemAvailable");
        foreach (var folder in Groups())
        {
            if (ReadLong(Path.Combine(folder, "memory.max"), "memory.limit_in_bytes") is { } limit
                && ReadLong(Path.Combine(folder, "memory.current"), "memory.usage_in_bytes") is { } used)
            {
                available = Math.Min(available, Math.Max(limit - used + Reclaimable(folder), 0));
            }
        }

        return available;
    }

    /// <summary>
    /// Processes that the kernel has killed for want of memory, in this process's control group or on the machine. Only ever grows.
    /// </summary>
    /// <returns>Null when the counters cannot be read, as when a control group goes meanwhile.</returns>
    public long? OutOfMemoryKills()
    {
        try
        {
            foreach (var folder in Groups())
            {
                if (Field(Path.Combine(folder, "memory.events"), "oom_kill") is { } kills)
                    return kills;
            }

            return Field(Path.Combine(procFolder, "vmstat"), "oom_kill") ?? 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private long Limit() => Groups()
        .Select(folder => ReadLong(Path.Combine(folder, "memory.max"), "memory.limit_in_bytes"))
        .Min() ?? long.MaxValue;

    // Page cache counts as used and gives way. Version 2's name for it, then version 1's.
    private static long Reclaimable(string folder)
    {
        var stat = Path.Combine(folder, "memory.stat");
        return Field(stat, "inactive_file") ?? Field(stat, "total_inactive_file") ?? 0;
    }

    // The process's own group and those above it (version 2), or the memory controller's (version 1); only what exists.
    private List<string> Groups()
    {
        var groups = new List<string>();
        var file = Path.Combine(procFolder, "self/cgroup");
        foreach (var line in File.Exists(file) ? File.ReadAllLines(file) : [])
        {
            var parts = line.Split(':', 3);
            if (parts is not [_, var controllers, var path])
                continue;
            if (controllers.Length == 0)
                AddUpwards(groups, cgroupFolder, path);
            else if (controllers.Split(',').Contains("memory"))
                AddUpwards(groups, Path.Combine(cgroupFolder, "memory"), path);
        }

        return groups;
    }

    private static void AddUpwards(List<string> groups, string root, string path)
    {
        // Inside a container the path may be the host's, and then does not exist here: the mount's root is the group.
        var folder = Path.Combine(root, path.TrimStart('/'));
        while (folder.Length >= root.Length)
        {
            if (Directory.Exists(folder))
                groups.Add(folder);
            if (folder.TrimEnd('/') == root)
                return;
            folder = Path.GetDirectoryName(folder.TrimEnd('/')) ?? "";
        }
    }

    private long Meminfo(string key)
    {
        const int kibibyte = 1024;
        foreach (var line in File.ReadLines(Path.Combine(procFolder, "meminfo")))
        {
            if (line.StartsWith(key + ":", StringComparison.Ordinal))
                return long.Parse(line.AsSpan(key.Length + 1).Trim().TrimEnd(" kB"), CultureInfo.InvariantCulture) * kibibyte;
        }

        throw new InvalidDataException($"{procFolder}/meminfo has no {key}");
    }

    private static long? ReadLong(string file, string version1Name)
    {
        if (!File.Exists(file))
            file = Path.Combine(Path.GetDirectoryName(file)!, version1Name);
        // "max" is no limit, and parses as none.
        return File.Exists(file) && long.TryParse(File.ReadAllText(file).AsSpan().Trim(), CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
    }

    private static long? Field(string file, string key)
    {
        foreach (var line in File.Exists(file) ? File.ReadLines(file) : [])
        {
            if (line.Split(' ') is [var name, var value] && name == key)
                return long.Parse(value, CultureInfo.InvariantCulture);
        }

        return null;
    }
}
