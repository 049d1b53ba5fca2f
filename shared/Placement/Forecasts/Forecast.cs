using System.Collections.Immutable;
using Cluster.Placement.Running;

namespace Cluster.Placement.Forecasts;

/// <summary>When waiting jobs are expected to start.</summary>
/// <param name="Jobs">Those that were settled, in the order in which they are expected to start.</param>
/// <param name="NotSettled">How many wait beyond those, for which the work did not suffice or too little is known.</param>
public sealed record Forecast(ImmutableArray<JobForecast> Jobs, int NotSettled);

/// <summary>A forecast that is still to be reckoned, of the state as it was: on any thread, whatever becomes of the state.</summary>
public sealed class PendingForecast
{
    private readonly ForecastInput _input;

    internal PendingForecast(ForecastInput input) => _input = input;

    /// <summary>Up to seconds of one core, by the policy's bound.</summary>
    public Forecast Run() => Forecaster.Run(_input);
}

/// <param name="Position">Among all that wait; 1 comes first.</param>
/// <param name="Start">When it is expected to start.</param>
/// <param name="Sooner">What would let it start now, or sooner; empty if nothing that is known of.</param>
public sealed record JobForecast(JobKey Job, int Position, Estimate Start, ImmutableArray<string> Sooner)
{
    /// <summary>When this was said.</summary>
    public DateTimeOffset At { get; init; }

    /// <summary>When it starts in each way that was played through, in order; empty if its start is promised.</summary>
    public ImmutableArray<DateTimeOffset> Ways { get; init; } = [];
}
