namespace Cluster.Worker.Devices;

/// <summary>What CUDA offers a process as one device: a card, or an instance that MIG has made of part of one.</summary>
/// <param name="Uuid">"GPU-…" or "MIG-…", as <c>CUDA_VISIBLE_DEVICES</c> takes it.</param>
/// <param name="Model">Such as "NVIDIA H200".</param>
/// <param name="MemoryBytes">Of the instance where it is one.</param>
/// <param name="Card">That it is, or is part of.</param>
internal sealed record Gpu(string Uuid, string Model, long MemoryBytes, GpuCard Card)
{
    /// <summary>An instance's name before drivers gave it a UUID: "MIG-GPU-…/1/0"; empty for a card.</summary>
    public string InstanceName { get; init; } = "";

    public bool IsInstance => Uuid != Card.Uuid;
}

/// <param name="Index">Among the machine's, by PCI address: CUDA's number under <c>CUDA_DEVICE_ORDER=PCI_BUS_ID</c>.</param>
/// <param name="Uuid">"GPU-…".</param>
/// <param name="PciAddress">As the kernel writes it: "0000:17:00.0".</param>
internal sealed record GpuCard(int Index, string Uuid, string PciAddress);

/// <param name="Id">"cuda:1", by which the scheduler knows it.</param>
/// <param name="Gpu">That it is.</param>
internal sealed record OfferedGpu(string Id, Gpu Gpu);

/// <summary>
/// What a GPU says of itself. Null is what it does not say: utilization, temperature and power of a MIG instance are the card's alone.
/// </summary>
internal sealed record GpuReading
{
    /// <summary>Share of the last sample period in which a kernel ran, 0 to 1.</summary>
    public double? Utilization { get; init; }

    public long? UsedMemoryBytes { get; init; }

    public double? TemperatureCelsius { get; init; }

    public double? PowerWatts { get; init; }

    /// <summary>Of memory, since the driver was loaded.</summary>
    public long? CorrectedEccErrors { get; init; }

    /// <inheritdoc cref="CorrectedEccErrors"/>
    public long? UncorrectedEccErrors { get; init; }
}
