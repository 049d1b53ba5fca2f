namespace Cluster.Scheduler.Dependencies;

/// <summary>
/// The job is to come after one that is not to be found. gRPC: FailedPrecondition; the message names field, value and remedy.
/// </summary>
public sealed class DependencyException(string message) : Exception(message);
