namespace Cluster.Worker;

/// <summary>The job cannot run as described, here or anywhere. The message names field, value and remedy.</summary>
public sealed class JobMisconfiguredException(string message) : Exception(message);
