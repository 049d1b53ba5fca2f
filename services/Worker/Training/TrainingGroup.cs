using Cluster.Worker.Collectives;

namespace Cluster.Worker.Training;

/// <summary>How a trainer finds its peers: through its agent.</summary>
internal static class TrainingGroup
{
    /// <summary>The name of the first rendezvous of an attempt.</summary>
    private const string RendezvousName = "collectives";

    public static CollectiveSetup Setup(TrainerContext context, CollectiveOptions options) => new()
    {
        Rank = context.Launch.Rank,
        WorldSize = context.Launch.WorldSize,
        NodeId = context.Launch.NodeId,
        PeerHost = context.Launch.PeerHost,
        Secret = context.Launch.AttemptSecret,
        Options = options,
        Logger = context.LoggerFactory.CreateLogger<CollectiveGroup>(),
        ReserveSharedMemory = context.Link.ReserveSharedMemoryAsync,
        Rendezvous = async (mine, cancellationToken) =>
        {
            var endpoints = await context.Link.RendezvousAsync(RendezvousName, mine.Address, cancellationToken);
            return [.. endpoints.Select(endpoint => new PeerEndpoint(endpoint.Rank, endpoint.NodeId, endpoint.Address))];
        },
    };
}
