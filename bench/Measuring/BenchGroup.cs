using System.Net;
using System.Text.Json;
using Cluster.Contracts.Tls;
using Cluster.Worker.Collectives;

namespace Cluster.Bench.Measuring;

/// <summary>How the ranks of a bench find each other without scheduler and agent: through files of one folder in shared memory.</summary>
internal static class BenchGroup
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);

    /// <summary>Where the ranks of one group meet. Delete it when they are done.</summary>
    public static string MakeFolder() =>
        Directory.CreateDirectory($"/dev/shm/cluster-bench-{Guid.NewGuid():n}",
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    /// <param name="folder">From <see cref="MakeFolder"/>; one a group.</param>
    /// <param name="rank">This rank.</param>
    /// <param name="worldSize">Ranks in all.</param>
    /// <param name="node">Ranks of the same node share memory; others use TCP.</param>
    /// <param name="options">The same on every rank.</param>
    /// <param name="cancellationToken">Ends the wait for the other ranks.</param>
    /// <param name="address">Of this rank, for those of other nodes; this machine's loopback if not given.</param>
    /// <param name="cudaDevice">This rank's GPU, if values shall be exchanged there.</param>
    /// <param name="certificates">This rank's node's, where what goes to other nodes shall be encrypted.</param>
    public static Task<ICollectiveGroup> JoinAsync(
        string folder, int rank, int worldSize, string node, CollectiveOptions options, CancellationToken cancellationToken,
        IPAddress? address = null, int? cudaDevice = null, CertificateFiles? certificates = null) =>
        CollectiveGroup.JoinAsync(
            new CollectiveSetup
            {
                Rank = rank,
                WorldSize = worldSize,
                NodeId = node,
                PeerAddress = new PeerAddress(address ?? IPAddress.Loopback, (address ?? IPAddress.Loopback).ToString()),
                Secret = folder,
                CudaDevice = cudaDevice,
                Certificates = certificates,
                Rendezvous = (mine, token) => MeetAsync(folder, worldSize, mine, token),
                ReserveSharedMemory = (name, bytes, _) => Task.FromResult(Reserve(folder, $"{node}-{name}", bytes)),
                Options = options,
            },
            cancellationToken);

    /// <summary>Tells the others of a group.</summary>
    public static void Signal(string folder, string what) => File.Create(Path.Combine(folder, what)).Dispose();

    /// <summary>Waits for one of the group's.</summary>
    public static async Task WaitForAsync(string folder, string what, CancellationToken cancellationToken)
    {
        while (!File.Exists(Path.Combine(folder, what)))
            await Task.Delay(Look, cancellationToken);
    }

    /// <summary>Every rank posts where it listens, and gets what all have posted.</summary>
    public static async Task<IReadOnlyList<PeerEndpoint>> MeetAsync(
        string folder, int worldSize, PeerEndpoint mine, CancellationToken cancellationToken)
    {
        var unfinished = Path.Combine(folder, $"unfinished-{mine.Rank}");
        await File.WriteAllTextAsync(unfinished, JsonSerializer.Serialize(mine), cancellationToken);
        File.Move(unfinished, Path.Combine(folder, PostOf(mine.Rank))); // at once and whole
        var endpoints = new List<PeerEndpoint>();
        for (var rank = 0; rank < worldSize; rank++)
        {
            await WaitForAsync(folder, PostOf(rank), cancellationToken);
            var post = await File.ReadAllTextAsync(Path.Combine(folder, PostOf(rank)), cancellationToken);
            endpoints.Add(JsonSerializer.Deserialize<PeerEndpoint>(post)!);
        }

        return endpoints;

        static string PostOf(int rank) => $"rank-{rank}";
    }

    /// <returns>A file of shared memory, the same for all that ask for it.</returns>
    public static string Reserve(string folder, string name, long bytes)
    {
        var path = Path.Combine(folder, name);
        // The first rank makes it and the others find it: all give the same length.
        using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        file.SetLength(bytes);
        return path;
    }
}
