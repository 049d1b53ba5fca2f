namespace Cluster.Scheduler.Persistence;

/// <summary>Postgres did not answer, or not in time, after all retries. gRPC: Unavailable.</summary>
[GenerateSerializer, Alias("cluster.StoreUnavailableException")]
public sealed class StoreUnavailableException(string message, Exception? innerException = null) : Exception(message, innerException);
