using System.Collections.Immutable;
using Cluster.Contracts;

namespace Cluster.Scheduler.Placement;

/// <summary>The one place that gives out devices; its key is always 0.</summary>
[Alias("cluster.IPlacementGrain")]
public interface IPlacementGrain : IGrainWithIntegerKey
{
    /// <summary>One cycle: read what has changed → decide → commit.</summary>
    /// <returns>The jobs that were given devices and now wait for their launch.</returns>
    [Alias("RunCycle")]
    Task<ImmutableArray<JobId>> RunCycleAsync();

    /// <summary>Writes why the others wait, as of the last cycle: apart from it, so that launches need not wait for words.</summary>
    [Alias("Tell")]
    Task TellAsync();

    /// <summary>Where a job would start if it were submitted now: a cycle of which nothing is kept.</summary>
    [Alias("Preview")]
    Task<PreviewAnswer> PreviewAsync(PreviewOrder order);
}
