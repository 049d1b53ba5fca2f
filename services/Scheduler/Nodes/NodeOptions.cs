using System.ComponentModel.DataAnnotations;
using System.Net;

namespace Cluster.Scheduler.Nodes;

/// <summary>Leases of nodes, and calls to their agents.</summary>
public sealed class NodeOptions : IValidatableObject
{
    public const string SectionName = "Nodes";

    private const int HeartbeatsInALease = 3;

    private static readonly TimeSpan LongestLookInterval = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A node that was not heard of for so long is lost, and its attempts with it. Shorter, and a busy machine passes for a lost one;
    /// longer, and a job waits that long before it goes on elsewhere.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often agents are told to call: at least three times a lease.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A lost node counts as registered for so long: it is listed, and jobs may be submitted that need it back. A machine that is repaired
    /// within an hour does; one that returns later registers anew.
    /// </summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan ForgetAfter { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Deadline of one call to an agent. Starting a process takes far less. Longer than it takes to find out that the connection is dead,
    /// so that the call is made again over another one.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:00:10")]
    public TimeSpan AgentDeadline { get; set; } = TimeSpan.FromSeconds(8);

    /// <summary>Repetitions of a call that did not reach the agent. All tries together stay within a grain call's 30 s.</summary>
    [Range(0, 3)]
    public int AgentRetries { get; set; } = 2;

    /// <summary>
    /// When so many different jobs have failed on a node within <see cref="QuarantineWindow"/>, it gets no new ones until a person resumes
    /// it; 0: never. One job fails for many reasons, and two may have the same; a third is seldom chance.
    /// </summary>
    [Range(0, 1000)]
    public int QuarantineAfter { get; set; } = 3;

    /// <summary>So long a failure counts against its node. A fault that strikes less often than hourly costs less than the node.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "30.00:00:00")]
    public TimeSpan QuarantineWindow { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Networks in which agents are reached, such as 10.20.0.0/16: what one gives as its address must lie in one of them. Empty: anywhere
    /// but where no node is, which of another machine are this one and link-local addresses.
    /// </summary>
    public List<string> AgentNetworks { get; set; } = [];

    /// <summary><see cref="AgentNetworks"/> once validated.</summary>
    internal IReadOnlyList<IPNetwork> Networks => [.. AgentNetworks.Select(IPNetwork.Parse)];

    /// <summary>
    /// How long one heartbeat may take, here and at the agent, which then calls again: three tries fall into a lease.
    /// </summary>
    public TimeSpan HeartbeatTimeout => TimeSpan.FromTicks(LeaseDuration.Ticks / HeartbeatsInALease);

    /// <summary>
    /// Two looks at the leases that are further apart tell that the scheduler or its store was away in between. What is shorter no agent
    /// has noticed either: its heartbeat waited.
    /// </summary>
    public TimeSpan LongestAbsence => HeartbeatTimeout;

    /// <summary>A scheduler that has been away for longer is gone: by then agents that talked to it talk to another.</summary>
    public TimeSpan LongestSchedulerAbsence => 6 * LeaseDuration;

    /// <summary>
    /// How often leases are looked at: several times within the longest absence, so that a busy machine is not taken for a paused one.
    /// </summary>
    public TimeSpan LookInterval => LongestAbsence / 4 < LongestLookInterval ? LongestAbsence / 4 : LongestLookInterval;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var network in AgentNetworks.Where(network => !IPNetwork.TryParse(network, out _)))
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(AgentNetworks)} has '{network}'; give networks such as 10.20.0.0/16");
        }

        if (HeartbeatInterval > HeartbeatTimeout)
        {
            yield return new ValidationResult(
                $"{SectionName}:{nameof(HeartbeatInterval)} is {HeartbeatInterval}, more than a third of {nameof(LeaseDuration)}, "
                    + $"{LeaseDuration}: one lost heartbeat or two would cost a node its lease; "
                    + $"lower it to {HeartbeatTimeout} or less, or raise {SectionName}:{nameof(LeaseDuration)}");
        }
    }
}
