using System.Net;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>How a trainer finds its peers: through its agent.</summary>
internal static class TrainingGroup
{
    /// <summary>The name of the first rendezvous of an attempt.</summary>
    private const string RendezvousName = "collectives";

    /// <summary>Joins the attempt's ranks.</summary>
    /// <exception cref="JobMisconfiguredException">They are on GPUs, and a node lacks what exchanges between these need.</exception>
    public static ICollectiveGroup Join(TrainerContext context, CollectiveOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return CollectiveGroup.JoinAsync(Setup(context, options), cancellationToken).GetAwaiter().GetResult();
        }
        catch (NotSupportedException e)
        {
            throw new JobMisconfiguredException(e.Message);
        }
    }

    private static CollectiveSetup Setup(TrainerContext context, CollectiveOptions options) => new()
    {
        Rank = context.Launch.Rank,
        WorldSize = context.Launch.WorldSize,
        NodeId = context.Launch.NodeId,
        PeerAddress = PeerAddressOf(context.Launch),
        CudaDevice = ExchangesOnDevices(context.Launch) && TrainingPartitions.DeviceOf(context.Launch.Device) is { type: DeviceType.CUDA, index: var index } ? index : null,
        Secret = context.Launch.AttemptSecret,
        Options = options,
        Logger = context.LoggerFactory.CreateLogger<CollectiveGroup>(),
        ReserveSharedMemory = context.Link.ReserveSharedMemoryAsync,
        Rendezvous = async (mine, cancellationToken) =>
        {
            var endpoints = await context.Link.RendezvousAsync(RendezvousName, mine.Address, cancellationToken);
            return [.. endpoints.Select(peer => new PeerEndpoint(peer.Rank, peer.NodeId, peer.Address) { NodeName = peer.NodeName })];
        },
    };

    private static PeerAddress? PeerAddressOf(TrainerLaunch launch) => launch.PeerHost.Length == 0
        ? null
        : new PeerAddress(IPAddress.Parse(launch.ListenAddress), launch.PeerHost) { Ports = (launch.FirstPeerPort, launch.LastPeerPort) };

    /// <summary>Jobs without training add up a few figures, which lie in the CPU's memory anyway.</summary>
    private static bool ExchangesOnDevices(TrainerLaunch launch) => launch.WorldSize > 1 && launch.Spec.IsTraining();
}
