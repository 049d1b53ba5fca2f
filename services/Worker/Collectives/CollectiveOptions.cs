using System.ComponentModel.DataAnnotations;

namespace Cluster.Worker.Collectives;

/// <summary>How long ranks wait for each other and in what portions they move data.</summary>
public sealed class CollectiveOptions
{
    public const string SectionName = "Collectives";

    /// <summary>
    /// Longest wait within one operation before the late rank is named and the attempt ends. A minute, because ranks of a
    /// synchronous step differ by seconds at most, while a restart costs less than the half hour that others wait.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan OperationTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Longest wait for all ranks to connect once each knows where the others are. Until then they wait as long as the scheduler hears of
    /// every one: process start and data differ more than steps do.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>Longest a stranger on the port may take to prove that it knows the attempt's secret.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan HandshakeTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Bytes that a rank stages in shared memory at a time, and that pass from node to node at a time; ranks that share no memory exchange
    /// slices of at most 256 KiB. 1 MiB keeps both halves of the double buffer in a core's cache and is long enough that the hand-over does
    /// not show.
    /// </summary>
    [Range(4096, 64 << 20)]
    public int ChunkBytes { get; set; } = 1 << 20;

    /// <summary>
    /// Bytes up to which two ranks on different nodes send each other all they have, in one step instead of two: they move no byte more
    /// that way, but reduce twice as many. n ranks, who would move n/2 times as many, do so up to 4/n² of it.
    /// </summary>
    [Range(0, 64 << 20)]
    public int OneStepBytes { get; set; } = 256 << 10;

    /// <summary>
    /// How long a waiting rank looks for its peers before it sleeps in the kernel. 200 µs, because to be woken takes tens of them on
    /// virtual machines: ranks that sleep sooner keep each other asleep, and small operations take as long as the kernel does.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:01")]
    public TimeSpan SpinTime { get; set; } = TimeSpan.FromMicroseconds(200);

    /// <summary>CUDA's driver library: a name that the loader finds, or the path of the file where it is elsewhere.</summary>
    [Required]
    public string CudaLibrary { get; set; } = "libcuda.so.1";

    /// <summary>NCCL, 2.14 or later: a name that the loader finds, or the path of the file where it is elsewhere.</summary>
    [Required]
    public string NcclLibrary { get; set; } = "libnccl.so.2";

    /// <summary>
    /// How float32 values travel between nodes. <c>BFloat16</c> is worth its rounding where the network, not the machine, is what a step
    /// waits for; results then depend on which ranks share a node. All ranks must agree.
    /// </summary>
    [EnumDataType(typeof(WireFormat))]
    public WireFormat WireFormat { get; set; } = WireFormat.Native;
}
