namespace Cluster.Bench.Scheduling;

/// <summary>A scheduler with a device that is free, and jobs that wait for one that is not.</summary>
internal interface IContestant
{
    /// <summary>Submits jobs that have to wait, and takes them back afterwards.</summary>
    /// <returns>Acknowledged a second.</returns>
    Task<double> SubmitRateAsync(int jobs, int clients, CancellationToken cancellationToken);

    /// <summary>Submits a job that can start at once, and waits for its end afterwards.</summary>
    /// <returns>Seconds from just before the submit to the begin of the job's process.</returns>
    Task<double> StartDelayAsync(CancellationToken cancellationToken);
}
