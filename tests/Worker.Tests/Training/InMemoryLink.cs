using System.Collections.Concurrent;
using System.Threading.Channels;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Worker.Tests.Training;

/// <summary>Agent and scheduler of one job in the test's memory: keeps what the ranks report and store.</summary>
/// <param name="worldSize">Ranks of the attempt.</param>
/// <param name="inherited">An earlier attempt, whose checkpoints can be read.</param>
internal sealed class InMemoryCluster(int worldSize, InMemoryCluster? inherited = null) : IDisposable
{
    /// <summary>With a rank that never comes, which has failed.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly int _worldSize = worldSize;
    private readonly InMemoryCluster? _inherited = inherited;
    private readonly ConcurrentDictionary<ByteString, byte[]> _chunks = new();
    private readonly ConcurrentDictionary<string, CheckpointManifest> _checkpoints = new();
    private readonly ConcurrentDictionary<(string Name, long Step), Meeting<CheckpointManifest>> _commits = new();
    private readonly ConcurrentDictionary<string, Meeting<RankEndpoint>> _rendezvous = new();
    private readonly ConcurrentDictionary<(string Rendezvous, int Rank), TaskCompletionSource> _arrivals = new();
    private readonly ConcurrentDictionary<string, string> _segments = new();
    private readonly DirectoryInfo _memory = Directory.CreateDirectory(
        Path.Combine("/dev/shm", "training-tests-" + Guid.NewGuid().ToString("N")));

    public ConcurrentQueue<(int Rank, ReportRequest Report)> Reports { get; } = new();

    /// <summary>What ranks are answered that would meet, before they do.</summary>
    public ConcurrentQueue<RendezvousResponse> EarlyAnswers { get; } = [];

    /// <summary>What ranks have said of themselves before they met.</summary>
    public Channel<(int Rank, string Preparing)> Preparations { get; } = Channel.CreateUnbounded<(int Rank, string Preparing)>();

    /// <summary>What the store does with a checkpoint of some step before it takes it.</summary>
    public Func<long, Task> OnCommit { get; set; } = _ => Task.CompletedTask;

    /// <summary>What the store does once a rank has read a chunk.</summary>
    public Func<int, Task> OnChunkRead { get; set; } = _ => Task.CompletedTask;

    /// <summary>Checkpoints by their step.</summary>
    public IReadOnlyDictionary<long, string> CheckpointIds => _checkpoints.ToDictionary(pair => pair.Value.Step, pair => pair.Key);

    public ITrainerLink Link(int rank) => new RankLink(this, rank);

    /// <summary>Ends when a rank waits for the others at a rendezvous.</summary>
    public Task ArrivalAsync(string rendezvous, int rank) => Arrival(rendezvous, rank).Task;

    /// <summary>A series by step, as one rank has told it.</summary>
    public SortedDictionary<long, double> Series(string name, int rank = 0) => new(Reports
        .Where(r => r.Rank == rank).SelectMany(r => r.Report.Points).Where(p => p.Name == name).ToDictionary(p => p.Step, p => p.Value));

    public void Dispose() => _memory.Delete(recursive: true);

    private TaskCompletionSource Arrival(string rendezvous, int rank) => _arrivals.GetOrAdd(
        (rendezvous, rank), _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

    private T Find<T>(Func<InMemoryCluster, T?> look)
        where T : class =>
        look(this) ?? _inherited?.Find(look) ?? throw new KeyNotFoundException();

    private sealed class RankLink(InMemoryCluster cluster, int rank) : ITrainerLink
    {
        public Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken)
        {
            cluster.Preparations.Writer.TryWrite((rank, preparing));
            return Task.CompletedTask;
        }

        public async Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken)
        {
            if (cluster.EarlyAnswers.TryDequeue(out var early))
                return early;
            var meeting = cluster._rendezvous.GetOrAdd(name, _ => new Meeting<RankEndpoint>(cluster._worldSize));
            var waiting = meeting.Join(new RankEndpoint { Rank = rank, NodeId = "node", Address = address });
            cluster.Arrival(name, rank).TrySetResult();
            var all = await waiting.WaitAsync(Patience, cancellationToken);
            return new RendezvousResponse { Endpoints = { all.OrderBy(endpoint => endpoint.Rank) } };
        }

        public async Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken)
        {
            var path = cluster._segments.GetOrAdd(name, _ => Path.Combine(cluster._memory.FullName, Guid.NewGuid().ToString("N")));
            lock (cluster._segments)
            {
                using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
                if (file.Length < bytes)
                    file.SetLength(bytes);
            }

            return await Task.FromResult(path);
        }

        public Task ReportAsync(ReportRequest report, CancellationToken cancellationToken)
        {
            cluster.Reports.Enqueue((rank, report));
            return Task.CompletedTask;
        }

        public async Task PutChunksAsync(IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken)
        {
            await foreach (var chunk in chunks.WithCancellation(cancellationToken))
                cluster._chunks[chunk.Sha256] = chunk.Data.ToByteArray();
        }

        public async Task<string> CommitCheckpointAsync(CheckpointManifest part, int parts, CancellationToken cancellationToken)
        {
            await cluster.OnCommit(part.Step).WaitAsync(cancellationToken);
            var meeting = cluster._commits.GetOrAdd(("commit", part.Step), _ => new Meeting<CheckpointManifest>(parts));
            var all = await meeting.Join(part).WaitAsync(cancellationToken);
            lock (cluster._checkpoints)
            {
                if (cluster.CheckpointIds.TryGetValue(part.Step, out var stored))
                    return stored;
                var whole = new CheckpointManifest(all[0]);
                foreach (var other in all.Skip(1))
                {
                    whole.Files.Add(other.Files);
                    whole.Tensors.Add(other.Tensors);
                }

                var id = Guid.NewGuid().ToString();
                cluster._checkpoints[id] = whole;
                return id;
            }
        }

        public Task<CheckpointManifest> GetCheckpointAsync(string checkpointId, CancellationToken cancellationToken) =>
            Task.FromResult(cluster.Find(c => c._checkpoints.GetValueOrDefault(checkpointId)));

        public async IAsyncEnumerable<ReadOnlyMemory<byte>> GetChunksAsync(
            string checkpointId, IReadOnlyList<ByteString> sha256,
            [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            foreach (var hash in sha256)
            {
                yield return cluster.Find(c => c._chunks.GetValueOrDefault(hash));
                await cluster.OnChunkRead(rank).WaitAsync(cancellationToken);
            }
        }
    }

    /// <summary>Gives everyone what all have brought.</summary>
    private sealed class Meeting<T>(int size)
    {
        private readonly List<T> _brought = [];
        private readonly TaskCompletionSource<IReadOnlyList<T>> _complete = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<IReadOnlyList<T>> Join(T item)
        {
            lock (_brought)
            {
                _brought.Add(item);
                if (_brought.Count == size)
                    _complete.SetResult(_brought);
            }

            return _complete.Task;
        }
    }
}
