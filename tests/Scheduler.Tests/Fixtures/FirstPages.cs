using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Workspaces;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>Lists that a test knows to be short.</summary>
internal static class FirstPages
{
    public static async Task<IReadOnlyList<Checkpoint>> ListAsync(
        this CheckpointQueries checkpoints, JobId? job, int limit, CancellationToken cancellationToken) =>
        (await checkpoints.ListAsync(job, Visibility.All, limit, pageToken: "", cancellationToken)).Entries;

    public static async Task<IReadOnlyList<Node>> ListAsync(this NodeQueries nodes, CancellationToken cancellationToken) =>
        (await nodes.ListAsync(pageSize: 100, pageToken: "", cancellationToken)).Entries;
}
