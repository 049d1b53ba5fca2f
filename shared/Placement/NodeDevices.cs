using System.Globalization;

namespace Cluster.Placement;

/// <summary>A node's devices of one class, lowest number first.</summary>
internal sealed class NodeDevices
{
    private readonly DeviceClass _kind;
    private readonly RegisteredDevice[] _devices;
    private readonly DeviceUse[] _uses;

    public NodeDevices(DeviceClass kind, IEnumerable<RegisteredDevice> devices)
    {
        _kind = kind;
        _devices = [.. devices.Where(d => d.Kind == kind).OrderBy(d => Number(d.Id)).ThenBy(d => d.Id, StringComparer.Ordinal)];
        _uses = new DeviceUse[_devices.Length];
        Left = _devices.Length;
    }

    /// <summary>How many are neither granted, nor given or held in this cycle.</summary>
    public int Left { get; private set; }

    /// <summary>How many this cycle holds for a job that pauses.</summary>
    public int Held { get; private set; }

    public string Id(int index) => _devices[index].Id;

    public int Find(string id)
    {
        for (var i = 0; i < _devices.Length; i++)
        {
            if (_devices[i].Id == id)
                return i;
        }

        return -1;
    }

    public DeviceUse Use(int index) => _uses[index];

    /// <summary>Whether the device could hold a rank of so many bytes; on a CPU device the node's memory decides.</summary>
    public bool Holds(int index, long rankBytes) => _kind == DeviceClass.Cpu || NodeProfile.Holds(_devices[index].MemoryBytes, rankBytes);

    /// <summary>Whether a device is free and could; one that is not there is not.</summary>
    public bool IsFreeFor(int index, long rankBytes) => index >= 0 && _uses[index] == DeviceUse.Free && Holds(index, rankBytes);

    public void Become(int index, DeviceUse use)
    {
        Left += Of(use, DeviceUse.Free) - Of(_uses[index], DeviceUse.Free);
        Held += Of(use, DeviceUse.Held) - Of(_uses[index], DeviceUse.Held);
        _uses[index] = use;
    }

    /// <summary>How many of a use could hold a rank of so many bytes.</summary>
    public int Holding(long rankBytes, bool heldToo)
    {
        var count = 0;
        for (var i = 0; i < _devices.Length; i++)
        {
            var counts = _uses[i] == DeviceUse.Free || (heldToo && _uses[i] == DeviceUse.Held);
            if (counts && NodeProfile.Holds(_devices[i].MemoryBytes, rankBytes))
                count++;
        }

        return count;
    }

    /// <summary>The first free ones that could.</summary>
    public List<int> Pick(int count, long rankBytes)
    {
        var picked = new List<int>(count);
        for (var i = 0; picked.Count < count; i++)
        {
            if (_uses[i] == DeviceUse.Free && NodeProfile.Holds(_devices[i].MemoryBytes, rankBytes))
                picked.Add(i);
        }

        return picked;
    }

    private static int Of(DeviceUse use, DeviceUse which) => use == which ? 1 : 0;

    /// <summary>The N of "cuda:N", so that 10 comes after 9.</summary>
    private static int Number(string device)
    {
        var digits = device.AsSpan(device.IndexOf(':', StringComparison.Ordinal) + 1);
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : int.MaxValue;
    }
}

internal enum DeviceUse : byte
{
    Free = 0,
    Granted = 1,

    /// <summary>In this cycle, to a job that starts.</summary>
    Given = 2,

    /// <summary>In this cycle, for a job that waits out its pause.</summary>
    Held = 3,
}
