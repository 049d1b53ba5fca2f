using System.Collections.Concurrent;
using Cluster.Contracts.Tls;
using Cluster.Worker.Agent;
using Cluster.Worker.Collectives;
using Cluster.Worker.Devices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Ranks as threads of the test: a rendezvous, the agents' shared memory and a group for each.</summary>
internal sealed class Ranks : IDisposable
{
    private readonly string[] _nodes;
    private readonly ConcurrentDictionary<int, PeerEndpoint> _posted = new();
    private TaskCompletionSource<IReadOnlyList<PeerEndpoint>> _allPosted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Dictionary<string, SharedMemorySegments> _segmentsByNode = [];

    /// <param name="placement">A node letter a rank: <c>"aab"</c> puts ranks 0 and 1 on one node and rank 2 on another.</param>
    /// <param name="options">For every rank.</param>
    public Ranks(string placement, CollectiveOptions? options = null)
    {
        _nodes = [.. placement.Select(c => c.ToString())];
        Options = options
            ?? new CollectiveOptions { OperationTimeout = TimeSpan.FromSeconds(30), ConnectTimeout = TimeSpan.FromSeconds(30) };
    }

    public CollectiveOptions Options { get; }

    /// <summary>A rank's GPU; by default it has none.</summary>
    public Func<int, int?> CudaDevice { get; init; } = _ => null;

    /// <summary>Those of a rank's node; by default nodes exchange plain text.</summary>
    public Func<int, CertificateFiles?> Certificates { get; init; } = _ => null;

    public int WorldSize => _nodes.Length;

    /// <summary>Changes what a rank posts, such as the endpoint of an impostor.</summary>
    public Func<PeerEndpoint, PeerEndpoint> OnPost { get; init; } = endpoint => endpoint;

    public PeerAddress? PeerAddress { get; init; } = PeerAddress.Loopback;

    /// <summary>Rank 0's.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    public CollectiveSetup Setup(int rank, string secret = "the attempt's secret") => new()
    {
        Rank = rank,
        WorldSize = WorldSize,
        NodeId = _nodes[rank],
        CudaDevice = CudaDevice(rank),
        PeerAddress = PeerAddress,
        Certificates = Certificates(rank),
        Secret = secret,
        Rendezvous = MeetAsync,
        ReserveSharedMemory = (name, bytes, _) => Task.FromResult(_segmentsByNode[_nodes[rank]].Reserve(name, bytes)),
        Options = Options,
        Logger = rank == 0 ? Logger : NullLogger.Instance,
    };

    /// <summary>Runs <paramref name="body"/> on a thread a rank and gives what each returned; the first failure is thrown.</summary>
    public T[] Run<T>(Func<ICollectiveGroup, T> body) => Collect(rank =>
    {
        using var group = Join(rank);
        return body(group);
    });

    public void Run(Action<ICollectiveGroup> body) => Run(group =>
    {
        body(group);
        return true;
    });

    /// <summary>Like <see cref="Run{T}"/>, with the exception in place of a result: for tests of what each rank is told.</summary>
    public Exception?[] RunToFailure(Action<ICollectiveGroup> body) => Collect(rank =>
    {
        try
        {
            using var group = Join(rank);
            body(group);
            return null;
        }
        catch (CollectiveException e)
        {
            return (Exception?)e;
        }
    });

    public ICollectiveGroup Join(int rank, string secret = "the attempt's secret") =>
        CollectiveGroup.JoinAsync(Setup(rank, secret), TestContext.Current.CancellationToken).GetAwaiter().GetResult();

    /// <summary>A fresh attempt: new endpoints, new segments, a thread a rank.</summary>
    public T[] Collect<T>(Func<int, T> body)
    {
        DisposeSegments();
        _segmentsByNode = _nodes.Distinct().ToDictionary(node => node, _ => new SharedMemorySegments(new MachineMemory()));
        _posted.Clear();
        _allPosted = new TaskCompletionSource<IReadOnlyList<PeerEndpoint>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var results = new T[WorldSize];
        var failures = new ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, WorldSize).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = body(rank);
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        if (failures.TryDequeue(out var first))
            throw new InvalidOperationException("a rank failed: " + first.Message, first);
        return results;
    }

    public Task<IReadOnlyList<PeerEndpoint>> MeetAsync(PeerEndpoint mine, CancellationToken cancellationToken)
    {
        _posted[mine.Rank] = OnPost(mine);
        if (_posted.Count == WorldSize)
            _allPosted.TrySetResult([.. _posted.Values.OrderBy(e => e.Rank)]);
        return _allPosted.Task.WaitAsync(cancellationToken);
    }

    public void Dispose() => DisposeSegments();

    private void DisposeSegments()
    {
        foreach (var segments in _segmentsByNode.Values)
            segments.Dispose();
    }
}
