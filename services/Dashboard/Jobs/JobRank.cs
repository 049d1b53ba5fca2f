using Cluster.Contracts.V1;

namespace Cluster.Dashboard.Jobs;

/// <summary>A rank of a job.</summary>
/// <param name="Device">As its node measures it; null: it is not known, or no longer the job's.</param>
/// <param name="Parts">Seconds of a step by <see cref="StepBreakdown.Words"/>; empty while they are not known.</param>
public sealed record JobRank(DevicePlacement Place, DeviceStatus? Device, IReadOnlyList<double> Parts);
