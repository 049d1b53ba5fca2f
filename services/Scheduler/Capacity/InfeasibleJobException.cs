namespace Cluster.Scheduler.Capacity;

/// <summary>The registered cluster can never run the job. gRPC: FailedPrecondition; the message names field, value and remedy.</summary>
[GenerateSerializer, Alias("cluster.InfeasibleJobException")]
public sealed class InfeasibleJobException(string message) : Exception(message);
