using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;

namespace Cluster.Worker.Agent;

/// <summary>Finds what this node can train on.</summary>
internal static class DeviceDiscovery
{
    /// <param name="options">How many CPU slots, of how many cores.</param>
    /// <param name="gpus">By number.</param>
    /// <param name="cores">Cores that the agent may use.</param>
    /// <param name="memory">The machine's.</param>
    public static IReadOnlyList<Device> Find(AgentOptions options, IReadOnlyList<OfferedGpu> gpus, int cores, MachineMemory memory)
    {
        var devices = new List<Device>();
        foreach (var (id, gpu) in gpus)
            devices.Add(new Device { Id = id, Kind = DeviceKind.Cuda, MemoryBytes = gpu.MemoryBytes, Model = gpu.Model });

        // A node with GPUs trains on them; its cores feed them.
        var slots = options.CpuSlots ?? (gpus.Count > 0 ? 0 : Math.Max(cores / options.CoresPerSlot, 1));
        for (var index = 0; index < slots; index++)
        {
            devices.Add(new Device
            {
                Id = $"cpu:{index}",
                Kind = DeviceKind.Cpu,
                Cores = options.CoresPerSlot,
                // Slots share the memory: this is only their number's part of it.
                MemoryBytes = Math.Min(options.MemoryBytes ?? long.MaxValue, memory.TotalBytes()) / slots,
                Model = CpuModel(),
            });
        }

        return devices;
    }

    /// <summary>"Intel(R) Xeon(R) …", as the kernel gives it; the architecture's name where it gives none.</summary>
    public static string CpuModel(string cpuinfo = "/proc/cpuinfo")
    {
        foreach (var line in File.Exists(cpuinfo) ? File.ReadLines(cpuinfo) : [])
        {
            if (line.StartsWith("model name", StringComparison.Ordinal) && line.Split(':', 2) is [_, var model])
                return model.Trim();
        }

        return RuntimeInformation.ProcessArchitecture.ToString();
    }
}
