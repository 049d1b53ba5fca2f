using Cluster.Contracts;

namespace Cluster.Scheduler.Nodes;

/// <summary>
/// Brings what heartbeats say, beside that a node lives, to the node's grain, after they have been answered: the grain may live in a
/// scheduler that is paused or has just died, and no lease waits for that.
/// </summary>
/// <remarks>One at a time for each node, and of those that wait the newest only: each says all there is to say.</remarks>
internal sealed partial class NodeReports(IGrainFactory grains, ILogger<NodeReports> logger) : IHostedService
{
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeId, Mailbox> _nodes = [];

    /// <summary>What a node's grain had to say of the last heartbeat; null if that was told already, or is not known yet.</summary>
    public HeartbeatResult? TakeAnswer(NodeId node, string incarnation)
    {
        lock (_gate)
        {
            if (!_nodes.TryGetValue(node, out var mailbox) || mailbox.Incarnation != incarnation)
                return null;
            var answer = mailbox.Answer;
            mailbox.Answer = null;
            return answer;
        }
    }

    /// <summary>Has a node's grain hear a heartbeat soon.</summary>
    public void Post(NodeId node, NodeHeartbeat heartbeat)
    {
        lock (_gate)
        {
            if (!_nodes.TryGetValue(node, out var mailbox))
                _nodes.Add(node, mailbox = new Mailbox());
            if (mailbox.Incarnation != heartbeat.Incarnation)
                mailbox.Answer = null;
            (mailbox.Incarnation, mailbox.Next) = (heartbeat.Incarnation, heartbeat);
            if (mailbox.Telling.IsCompleted)
                mailbox.Telling = TellAsync(node, mailbox);
        }
    }

    /// <summary>Ends when the grains have heard all that was said until now.</summary>
    public Task SettledAsync()
    {
        lock (_gate)
            return Task.WhenAll(_nodes.Values.Select(mailbox => mailbox.Telling));
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => SettledAsync().WaitAsync(cancellationToken);

    private async Task TellAsync(NodeId node, Mailbox mailbox)
    {
        // Off the caller's lock.
        await Task.Yield();
        while (Take(mailbox) is { } heartbeat)
        {
            HeartbeatResult? answer = null;
            try
            {
                answer = await grains.GetGrain<INodeGrain>(node.Value).HeartbeatAsync(heartbeat);
                mailbox.Failing = false;
            }
            catch (Exception fault)
            {
                // Once for as long as it goes on; the next heartbeat says it all again.
                if (!mailbox.Failing)
                    LogNotHeard(fault, node);
                mailbox.Failing = true;
            }

            lock (_gate)
            {
                if (mailbox.Incarnation == heartbeat.Incarnation)
                    mailbox.Answer = answer;
            }
        }
    }

    private NodeHeartbeat? Take(Mailbox mailbox)
    {
        lock (_gate)
        {
            var next = mailbox.Next;
            mailbox.Next = null;
            // Whatever comes from here on starts another.
            if (next is null)
                mailbox.Telling = Task.CompletedTask;
            return next;
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Node {NodeId} has renewed its lease, but its grain did not hear what else it said; "
            + "the next heartbeat says it again")]
    private partial void LogNotHeard(Exception fault, NodeId nodeId);

    private sealed class Mailbox
    {
        public NodeHeartbeat? Next { get; set; }

        /// <summary>Of the heartbeats that are told, and the answer.</summary>
        public string Incarnation { get; set; } = "";

        public HeartbeatResult? Answer { get; set; }

        public Task Telling { get; set; } = Task.CompletedTask;

        public bool Failing { get; set; }
    }
}
