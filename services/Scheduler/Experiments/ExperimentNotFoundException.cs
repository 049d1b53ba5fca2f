using Cluster.Contracts;

namespace Cluster.Scheduler.Experiments;

/// <summary>gRPC: NotFound.</summary>
public sealed class ExperimentNotFoundException(string message) : Exception(message)
{
    public static ExperimentNotFoundException For(ExperimentId experiment) => new($"no experiment {experiment}");
}
