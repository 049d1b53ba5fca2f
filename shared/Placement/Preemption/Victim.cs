using System.Collections.Immutable;
using Cluster.Placement.Queues;
using Cluster.Placement.Running;

namespace Cluster.Placement.Preemption;

/// <summary>A running job that may be stopped, or shrunk, for another one.</summary>
/// <param name="Frees">All of its devices, or those beyond the fewest that it runs with.</param>
/// <param name="Loss">Work that is lost, in device-seconds.</param>
/// <param name="Useful">How many of the devices are of use to the other one: at least one.</param>
/// <param name="Lenders">The queues that must be beyond their quota for it; none if it has a lower priority in the same queue.</param>
internal sealed record Victim(
    RunningJob Job, ImmutableArray<GrantedDevice> Frees, double Loss, int Useful, ImmutableArray<QueueNode> Lenders)
{
    public PreemptionCause Cause => Lenders.Length == 0 ? PreemptionCause.Priority : PreemptionCause.OwedQuota;

    public bool Shrinks => Frees.Length < Job.Devices.Length;

    public double LossPerDevice => Loss / Useful;
}
