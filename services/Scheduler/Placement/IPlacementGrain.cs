using System.Collections.Immutable;
using Cluster.Contracts;

namespace Cluster.Scheduler.Placement;

/// <summary>The one place that gives out devices; its key is always 0.</summary>
[Alias("cluster.IPlacementGrain")]
public interface IPlacementGrain : IGrainWithIntegerKey
{
    /// <summary>One cycle: read what has changed → decide → commit.</summary>
    /// <returns>The jobs for which something is to be done now: to launch those that were given devices, to stop those preempted.</returns>
    [Alias("RunCycle")]
    Task<ImmutableArray<DecidedJob>> RunCycleAsync();

    /// <summary>Writes why the others wait, as of the last cycle: apart from it, so that launches need not wait for words.</summary>
    [Alias("Tell")]
    Task TellAsync();

    /// <summary>Where a job would start if it were submitted now: a cycle of which nothing is kept.</summary>
    [Alias("Preview")]
    Task<PreviewAnswer> PreviewAsync(PreviewOrder order);
}

/// <param name="Version">At least this of the job's row must be known for it; 0: its grain has been told.</param>
[GenerateSerializer, Immutable, Alias("cluster.DecidedJob")]
public readonly record struct DecidedJob([property: Id(0)] JobId Job, [property: Id(1)] long Version);
