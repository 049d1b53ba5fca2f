using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>gRPC: NotFound.</summary>
[GenerateSerializer, Alias("cluster.JobNotFoundException")]
public sealed class JobNotFoundException(string message) : Exception(message)
{
    public static JobNotFoundException For(JobId job) => new($"no job {job}");
}

/// <summary>
/// Another activation wrote a newer version of the row. The grain has dropped its state and reads it again at the next call,
/// so the caller may retry at once. gRPC: Unavailable.
/// </summary>
[GenerateSerializer, Alias("cluster.StaleStateException")]
public sealed class StaleStateException(string message) : Exception(message);
