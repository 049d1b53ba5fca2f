using System.Globalization;
using Cluster.Worker.Collectives.Nccl;
using Cluster.Worker.Collectives.SharedMemory;
using Cluster.Worker.Collectives.Tcp;

namespace Cluster.Worker.Collectives;

public sealed partial class CollectiveGroup
{
    /// <summary>Finds the other ranks of the attempt and joins them by what their placement allows.</summary>
    /// <exception cref="NotSupportedException">They have GPUs, and one of them lacks what exchanges there need; the message says which and
    /// what to install.</exception>
    /// <exception cref="CollectiveException">A peer did not come in time, cannot be reached, or does not know the attempt's
    /// secret.</exception>
    public static async Task<ICollectiveGroup> JoinAsync(CollectiveSetup setup, CancellationToken cancellationToken)
    {
        if (setup.Rank < 0 || setup.Rank >= setup.WorldSize)
            throw new ArgumentException(
                FormattableString.Invariant($"rank is {setup.Rank}; with {setup.WorldSize} ranks it is 0 to {setup.WorldSize - 1}"),
                nameof(setup));
        if (setup is { WorldSize: 1, CudaDevice: null })
            return new CollectiveGroup(setup, new SingleTransport());

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var joined = setup.WorldSize == 1 ? new SingleTransport() : await ConnectAsync(setup, limit);
            return new CollectiveGroup(setup, setup.CudaDevice is { } ordinal ? await JoinDevicesAsync(setup, joined, ordinal) : joined);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CollectiveException(
                CollectiveFault.NotConnected, peer: -1,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"rank {setup.Rank} did not reach all its peers within {setup.Options.ConnectTimeout.TotalSeconds:0.###} s: "
                        + $"{e.Message}"), e);
        }
    }

    // A thread of its own, because it waits for the others and NCCL takes seconds to join them; nothing of it can be cancelled but by its
    // deadline.
    private static Task<CollectiveTransport> JoinDevicesAsync(CollectiveSetup setup, CollectiveTransport joined, int ordinal) =>
        Task.Factory.StartNew(
            () => CudaTransports.Join(joined, setup.Members, ordinal, setup.Options), CancellationToken.None,
            TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <param name="setup">Of this rank.</param>
    /// <param name="limit">Ends the attempt to connect; its time begins once all ranks are there.</param>
    private static async Task<CollectiveTransport> ConnectAsync(CollectiveSetup setup, CancellationTokenSource limit)
    {
        var cancellationToken = limit.Token;
        var trust = new PeerTrust(setup.Secret, setup.Certificates);
        using var listener = setup.PeerAddress is { } address
            ? new PeerListener(address, trust, setup.Rank, setup.Options.HandshakeTimeout)
            : null;
        var mine = new PeerEndpoint(setup.Rank, setup.NodeId, listener?.Told ?? "");
        var endpoints = await setup.Rendezvous(mine, cancellationToken);
        limit.CancelAfter(setup.Options.ConnectTimeout);
        if (!endpoints.Select(e => e.Rank).SequenceEqual(Enumerable.Range(0, setup.WorldSize)))
            throw new InvalidOperationException(
                $"the rendezvous gave ranks {string.Join(", ", endpoints.Select(e => e.Rank))}, not 0 to {setup.WorldSize - 1} in order");

        var nodes = endpoints.GroupBy(e => e.NodeId).Select(g => g.Select(e => e.Rank).ToArray()).ToArray();
        var local = nodes.Single(ranks => ranks.Contains(setup.Rank));
        if (nodes.Length == 1)
            return await SharedMemoryTransport.JoinAsync(local, setup.Members, setup.ReserveSharedMemory, setup.Options, cancellationToken);

        if (listener is null)
            throw new InvalidOperationException($"rank {setup.Rank} was to find all ranks on its node; there are {nodes.Length} nodes");
        var links = await TcpMesh.ConnectAsync(listener, endpoints, setup.Rank, trust, cancellationToken);
        var remote = new TcpTransport(setup.Members, links[PeerChannel.Collective], links[PeerChannel.Messages], setup.Options);
        var consecutive = nodes.All(ranks => ranks[^1] - ranks[0] == ranks.Length - 1);
        if (nodes.Length == setup.WorldSize || !consecutive)
            return remote;
        try
        {
            var within = await SharedMemoryTransport.JoinAsync(
                local, setup.Members, setup.ReserveSharedMemory, setup.Options, cancellationToken);
            return new HierarchicalTransport(setup.Rank, nodes, within, remote, setup.Options);
        }
        catch
        {
            remote.Dispose();
            throw;
        }
    }
}
