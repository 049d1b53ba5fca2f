namespace Cluster.Bench.Scaling;

/// <summary>What joins the devices: every one with every other, each way at once.</summary>
/// <param name="Latency">Seconds until a small exchange is over.</param>
/// <param name="SumRate">Bytes a second that a device adds up with its peers': the algorithm bandwidth of a large all-reduce over
/// two.</param>
/// <param name="MoveRate">Bytes a second that a device sends, and receives meanwhile.</param>
internal sealed record Link(double Latency, double SumRate, double MoveRate)
{
    /// <summary>Bytes of a float32.</summary>
    public const int ElementBytes = 4;

    /// <summary>The same shared by so many times as many devices as it can serve at once.</summary>
    public Link SharedBy(double times) => new(Latency * times, SumRate / times, MoveRate / times);

    /// <summary>
    /// Direct exchange, which hands every element round twice, or everyone's whole buffer to everyone where that is sooner over.
    /// </summary>
    public double AllReduce(double bytes, int devices) => devices == 1
        ? 0
        : Math.Min((2 * Latency) + (2 * Share(devices) * bytes / SumRate), Latency + ((devices - 1) * bytes / SumRate));

    /// <summary>
    /// Until everyone has all of so many bytes, of which it had its share. As long as a reduce-scatter of them, which is its gradient.
    /// </summary>
    public double AllGather(double bytes, int devices) => devices == 1 ? 0 : Latency + (Share(devices) * bytes / MoveRate);

    public double Message(double bytes) => Latency + (bytes / MoveRate);

    private static double Share(int devices) => (devices - 1) / (double)devices;
}
