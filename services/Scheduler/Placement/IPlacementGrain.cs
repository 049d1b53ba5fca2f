using System.Collections.Immutable;
using Cluster.Contracts;
using Orleans.Concurrency;

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

    /// <summary>Reckons when the others start and writes it, if the last time is long enough ago. Cycles go on meanwhile.</summary>
    [Alias("Forecast")]
    [AlwaysInterleave]
    Task ForecastAsync();

    /// <summary>Reads what has changed.</summary>
    [Alias("Refresh")]
    Task RefreshAsync();

    /// <summary>
    /// Where a job would start if it were submitted now: a cycle of which nothing is kept. Cycles go on while it is reckoned when.
    /// </summary>
    [Alias("Preview")]
    [AlwaysInterleave]
    Task<PreviewAnswer> PreviewAsync(PreviewOrder order);
}

/// <param name="Version">At least this of the job's row must be known for it; 0: its grain has been told.</param>
[GenerateSerializer, Immutable, Alias("cluster.DecidedJob")]
public readonly record struct DecidedJob([property: Id(0)] JobId Job, [property: Id(1)] long Version);
