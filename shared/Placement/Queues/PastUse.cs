namespace Cluster.Placement.Queues;

/// <summary>
/// How many devices beyond its quota a queue has used while others waited for them: a mean in which older use counts less.
/// </summary>
/// <remarks>
/// Use that nobody else wanted counts nothing: so a queue that had an idle cluster to itself owes nobody for it. Between two of these
/// <see cref="Rate"/> is what goes on being used, so that it is written when it changes and not as time goes by.
/// </remarks>
/// <param name="AsOf">When <paramref name="Mean"/> was so.</param>
/// <param name="Mean">In devices.</param>
/// <param name="Rate">Devices used beyond the quota since, wanted by others.</param>
public sealed record PastUse(DateTimeOffset AsOf, DeviceCounts Mean, DeviceCounts Rate)
{
    public static PastUse None { get; } = new(DateTimeOffset.MinValue, default, default);

    /// <summary>The mean at a later time.</summary>
    /// <param name="halfLife">After it, use counts half.</param>
    public DeviceCounts At(DateTimeOffset now, TimeSpan halfLife)
    {
        var kept = now <= AsOf ? 1 : Math.Pow(2, -((now - AsOf) / halfLife));
        return new DeviceCounts(Kept(Mean.Cpu, Rate.Cpu), Kept(Mean.Cuda, Rate.Cuda));

        double Kept(double mean, double rate) => (mean * kept) + (rate * (1 - kept));
    }
}

/// <summary>Numbers of devices by kind.</summary>
public readonly record struct DeviceCounts(double Cpu, double Cuda)
{
    public double this[DeviceClass kind] => kind == DeviceClass.Cpu ? Cpu : Cuda;
}
