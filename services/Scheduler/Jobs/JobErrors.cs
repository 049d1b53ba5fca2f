using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>The registered cluster can never run the job. gRPC: FailedPrecondition; the message names field, value and remedy.</summary>
[GenerateSerializer, Alias("cluster.InfeasibleJobException")]
public sealed class InfeasibleJobException(string message) : Exception(message);

/// <summary>gRPC: NotFound.</summary>
[GenerateSerializer, Alias("cluster.JobNotFoundException")]
public sealed class JobNotFoundException(string message) : Exception(message)
{
    public static JobNotFoundException For(JobId job) => new($"no job {job}");
}

/// <summary>gRPC: NotFound.</summary>
public sealed class ExperimentNotFoundException(string message) : Exception(message)
{
    public static ExperimentNotFoundException For(ExperimentId experiment) => new($"no experiment {experiment}");
}

/// <summary>
/// Another activation wrote a newer version of the row. The grain has dropped its state and reads it again at the next call,
/// so the caller may retry at once. gRPC: Unavailable.
/// </summary>
[GenerateSerializer, Alias("cluster.StaleStateException")]
public sealed class StaleStateException(string message) : Exception(message);
