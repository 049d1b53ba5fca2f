using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Nodes;

/// <summary>How a node stands, in the words that people read.</summary>
internal static class NodeStates
{
    /// <summary>"ready", "lost", "draining" while jobs still run there, then "drained"; "lost, drained"; "quarantined".</summary>
    public static string Of(Node node)
    {
        if (node is { State: NodeState.Ready, Drain.Quarantined: true })
            return "quarantined";
        var isBusy = node.Devices.Any(device => device.IsHeld());
        return (node.State, node.Drain is not null) switch
        {
            (NodeState.Ready, true) => isBusy ? "draining" : "drained",
            (var state, true) => $"{Word(state)}, drained",
            (var state, _) => Word(state),
        };
    }

    /// <summary>"by olga since 2026-01-01 12:00:00: new fans; jobs that run there may end by themselves".</summary>
    public static string Describe(Drain drain) =>
        $"by {drain.By} since {Words.Clock(drain.Since)}{(drain.Reason.Length > 0 ? $": {drain.Reason}" : "")}"
            + (drain.KeepRunning ? "; jobs that run there may end by themselves" : "");

    private static string Word(NodeState state) => state.ToString().ToLowerInvariant();
}
