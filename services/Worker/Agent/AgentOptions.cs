using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Cluster.Contracts.Access;

namespace Cluster.Worker.Agent;

/// <summary>
/// How one worker agent runs. Section "Agent": <c>Agent__Name</c> in the environment, <c>--Agent:Name</c> on the command line.
/// </summary>
public sealed class AgentOptions
{
    public const string SectionName = "Agent";

    /// <summary>The scheduler's gRPC address; those of several with commas between.</summary>
    [Required]
    public string SchedulerAddress { get; set; } = "http://127.0.0.1:7070";

    /// <summary>
    /// File with the token that the nodes share, for trials. A file, since an environment shows in /proc and is inherited. Empty: the node
    /// is enrolled, and has a token of its own in <see cref="StateFolder"/>.
    /// </summary>
    public string NodeTokenFile { get; set; } = "";

    /// <summary>
    /// File with the one-time code of <c>./cluster node enroll</c>, which the agent exchanges at its first start for a token that only it
    /// has. It is not read again, and may go then.
    /// </summary>
    public string EnrollmentCodeFile { get; set; } = "";

    /// <summary>What people call this node. The machine's name by default.</summary>
    [Required, MaxLength(200)]
    public string Name { get; set; } = Environment.MachineName;

    /// <summary>Keeps the node's id, a note of each running trainer and what trainers have listed of data sets. Two agents never share
    /// one.</summary>
    [Required]
    public string StateFolder { get; set; } = "";

    /// <summary>
    /// Where AgentService listens, as "ip:port"; port 0 is the system's choice. Trainers listen on the same address for their peers on
    /// other nodes. One that this machine has, or 0.0.0.0 for all of them. Loopback unless told otherwise.
    /// </summary>
    [Required]
    public string ListenAddress { get; set; } = "127.0.0.1:0";

    /// <summary>
    /// Host name or address by which scheduler and other nodes reach this one, such as that of a router or a service in front of it: told,
    /// and never listened on. The listening address by default; needed where that is a wildcard.
    /// </summary>
    public string AdvertiseHost { get; set; } = "";

    /// <summary>Port by which the scheduler reaches AgentService, where a mapping changes it. Unset: the one listened on.</summary>
    [Range(1, 65535)]
    public int? AdvertisePort { get; set; }

    /// <summary>
    /// Ports on which trainers listen for their peers on other nodes, such as "20000-20015": for port mappings, which must keep the
    /// numbers, and firewalls. One for each device at least. Empty: the system's choice.
    /// </summary>
    public string TrainerPorts { get; set; } = "";

    /// <summary>
    /// Whether what trainers exchange with those of other nodes is encrypted, by the node's certificate, and goes to and from nodes of the
    /// cluster's authority alone. Of all nodes or of none. False by default: it takes the time of a core, and GPUs then exchange through
    /// the CPU's memory, since NCCL encrypts nothing.
    /// </summary>
    public bool TrainerTls { get; set; }

    /// <summary>
    /// Trainers' calls go to the scheduler over a connection on which, after so long without an answer, an HTTP/2 ping asks whether it is
    /// still there; the scheduler's to this agent likewise. Not so often that a checkpoint on a slow line minds. Heartbeats have pings of
    /// their own, for the lease.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingDelay { get; set; } = ConnectionPings.Patient.Delay;

    /// <summary>A connection on which a ping was not answered for so long is given up; its calls are made again over another.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingTimeout { get; set; } = ConnectionPings.Patient.Timeout;

    /// <summary>CPU devices to offer. Unset: as many as the cores give, or none where there is a GPU.</summary>
    [Range(0, 1024)]
    public int? CpuSlots { get; set; }

    /// <summary>Cores, and so computing threads, of one CPU device.</summary>
    [Range(1, 1024)]
    public int CoresPerSlot { get; set; } = 1;

    /// <summary>
    /// Memory that the trainers on CPU devices may take together, in bytes. Unset: all of the machine's, or of the container's; set it
    /// where other agents or programs share the machine.
    /// </summary>
    [Range(1, long.MaxValue)]
    public long? MemoryBytes { get; set; }

    /// <summary>
    /// Cores to bind CPU slots to, such as "0-3,8": slot n gets the n-th group of <see cref="CoresPerSlot"/>. Empty binds nothing, which
    /// is right where other agents or programs share the machine.
    /// </summary>
    public string PinnedCores { get; set; } = "";

    /// <summary>Labels that jobs can ask for in <c>resources.nodeLabels</c>.</summary>
    public Dictionary<string, string> Labels { get; set; } = [];

    /// <summary>Holds a folder for each data set. Debian's packages put theirs into the default.</summary>
    [Required]
    public string DataRoot { get; set; } = "/usr/share/datasets";

    /// <summary>
    /// How often the data root is looked through. What arrives is offered when it has not changed from one look to the next, so within a
    /// minute by default; what has gone is told at once.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan DataScanInterval { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Log that one attempt keeps in memory until the scheduler has it, in bytes; beyond it the oldest lines go, and the log says how many
    /// and why. By default some 300,000 lines, for bursts and for a scheduler that is away.
    /// </summary>
    [Range(64 * 1024, int.MaxValue)]
    public int LogSpoolBytes { get; set; } = 32 * 1024 * 1024;

    /// <summary>
    /// How long a rank's exit waits until the scheduler has the rank's own last lines of log, which a slow scheduler, or other ranks' lines
    /// before them, may hold up. Then the exit goes first, so that a failure is known at once, and says how many lines follow.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan LastLinesPatience { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Reports that one rank keeps while the scheduler is away; beyond it the rank waits. A rank sends about two a second.
    /// </summary>
    [Range(16, 1_000_000)]
    public int ReportSpoolLength { get; set; } = 4096;

    /// <summary>How long trainers go on without a scheduler. Then they are ended: they could no longer store a checkpoint.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan OutageLimit { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Time that trainers get for a last checkpoint when the agent itself is told to end.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ShutdownGrace { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Program and first arguments of a trainer, and of the process that takes models apart; empty is this program. For wrappers such as
    /// <c>numactl</c> or a profiler.
    /// </summary>
    public List<string> TrainerCommand { get; set; } = [];

    /// <summary><see cref="TrainerPorts"/> once validated; zeros where the system chooses.</summary>
    internal (int First, int Last) TrainerPortRange => TryParsePorts(TrainerPorts, out var range) ? range : default;

    internal static bool TryParsePorts(string text, out (int First, int Last) range)
    {
        range = default;
        return text.Split('-') is [var first, var last]
            && ushort.TryParse(first, CultureInfo.InvariantCulture, out var from)
            && ushort.TryParse(last, CultureInfo.InvariantCulture, out var to)
            && (range = (from, to)) is { First: > 0 } && from <= to;
    }
}
