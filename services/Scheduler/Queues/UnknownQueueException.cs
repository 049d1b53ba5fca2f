namespace Cluster.Scheduler.Queues;

/// <summary>A job is to be in a queue that is not there. gRPC: InvalidArgument; the message names field, value and remedy.</summary>
[GenerateSerializer, Alias("cluster.UnknownQueueException")]
public sealed class UnknownQueueException(string message) : Exception(message)
{
    public static UnknownQueueException For(string queue) =>
        new($"queue is '{queue}', which nobody has created; ./cluster queue list shows those that there are");
}
