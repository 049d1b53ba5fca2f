using System.Net;
using Cluster.Contracts;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>How a trainer finds its peers: through its agent.</summary>
internal static partial class TrainingGroup
{
    /// <summary>The name of the first rendezvous of an attempt.</summary>
    public const string RendezvousName = "collectives";

    private static readonly TimeSpan ToldAgainAfter = TimeSpan.FromMinutes(1);

    /// <summary>
    /// Joins the attempt's ranks, however long one of them takes to get ready: the scheduler ends the attempt when it hears no more of it.
    /// </summary>
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
        CudaDevice = ExchangesOnDevices(context.Launch)
            && TrainingPartitions.DeviceOf(context.Launch.Device) is { type: DeviceType.CUDA, index: var index } ? index : null,
        Secret = context.Launch.AttemptSecret,
        Certificates = CertificatesOf(context.Launch),
        Options = options,
        Board = context.Operations,
        Logger = context.LoggerFactory.CreateLogger<CollectiveGroup>(),
        ReserveSharedMemory = context.Link.ReserveSharedMemoryAsync,
        Rendezvous = (mine, cancellationToken) => MeetAsync(context, RendezvousName, mine.Address, cancellationToken),
    };

    /// <summary>Waits for all ranks of the attempt, and tells people for which.</summary>
    internal static async Task<IReadOnlyList<PeerEndpoint>> MeetAsync(
        TrainerContext context, string name, string address, CancellationToken cancellationToken)
    {
        var logger = context.LoggerFactory.CreateLogger(typeof(TrainingGroup));
        var (told, toldAt) = (Array.Empty<int>(), context.TimeProvider.GetTimestamp());
        while (true)
        {
            var response = await context.Link.RendezvousAsync(name, address, cancellationToken);
            if (response.Endpoints.Count > 0)
                return [.. response.Endpoints.Select(
                    peer => new PeerEndpoint(peer.Rank, peer.NodeId, peer.Address) { NodeName = peer.NodeName })];
            int[] missing = [.. response.Missing.Select(rank => rank.Rank)];
            if (missing.SequenceEqual(told) && context.TimeProvider.GetElapsedTime(toldAt) < ToldAgainAfter)
                continue;
            LogWaiting(logger, Describe(response.Missing));
            (told, toldAt) = (missing, context.TimeProvider.GetTimestamp());
        }
    }

    /// <summary>"rank 1 on node-b, which is reading image-folder: 12000 entries so far; and 6 more ranks".</summary>
    internal static string Describe(IReadOnlyList<MissingRank> missing)
    {
        const int MostNamed = 3;
        var named = missing.Take(MostNamed).Select(
            rank => $"rank {rank.Rank} on {rank.NodeName}, "
                + $"{(rank.Preparing.Length > 0 ? $"which is {rank.Preparing}" : "which has said nothing yet")}");
        var more = missing.Count - MostNamed;
        return string.Join("; ", more > 0 ? named.Append(more == 1 ? "and 1 more rank" : $"and {more} more ranks") : named);
    }

    private static PeerAddress? PeerAddressOf(TrainerLaunch launch) => launch.PeerHost.Length == 0
        ? null
        : new PeerAddress(IPAddress.Parse(launch.ListenAddress), launch.PeerHost) { Ports = (launch.FirstPeerPort, launch.LastPeerPort) };

    private static CertificateFiles? CertificatesOf(TrainerLaunch launch) =>
        launch.PeerHost.Length == 0 || launch.PeerCertificates is not { } files ? null : new CertificateFiles(new TlsOptions
        {
            CertificateFile = files.CertificateFile,
            KeyFile = files.KeyFile,
            AuthorityFile = files.AuthorityFile,
        });

    /// <summary>Jobs without training add up a few figures, which lie in the CPU's memory anyway.</summary>
    private static bool ExchangesOnDevices(TrainerLaunch launch) => launch.WorldSize > 1 && launch.Spec.IsTraining();

    [LoggerMessage(LogLevel.Information, "Waiting for {Missing}")]
    private static partial void LogWaiting(ILogger logger, string missing);
}
