using Cluster.Contracts.V1;
using Cluster.Worker;
using Cluster.Worker.Collectives;
using Google.Protobuf;

namespace Cluster.Bench.Measuring;

/// <summary>
/// An agent for the trainers of one bench on this machine: keeps each series' last point, and takes checkpoints without storing them.
/// </summary>
/// <param name="rank">This trainer's.</param>
/// <param name="worldSize">Trainers in all.</param>
/// <param name="folder">Where they meet, from <see cref="BenchGroup.MakeFolder"/>; empty for one alone.</param>
internal sealed class BenchTrainerLink(int rank = 0, int worldSize = 1, string folder = "") : ITrainerLink
{
    public const string Node = "bench";

    private readonly Dictionary<string, double> _last = [];

    public long Parameters { get; private set; }

    /// <summary>Called after each report with the steps done by then.</summary>
    public Action<long> Progressed { get; init; } = _ => { };

    /// <summary>Called with each point.</summary>
    public Action<MetricPoint> Measured { get; init; } = _ => { };

    /// <summary>What a checkpoint's bytes wait for, as they would for a slow store.</summary>
    public Task StoreTakes { get; init; } = Task.CompletedTask;

    public double Last(string series) => _last[series];

    public async Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken)
    {
        var mine = new PeerEndpoint(rank, Node, address);
        var all = worldSize == 1 ? [mine] : await BenchGroup.MeetAsync(folder, worldSize, mine, cancellationToken);
        return new RendezvousResponse
        {
            Endpoints = { all.Select(one => new RankEndpoint { Rank = one.Rank, NodeId = one.NodeId, Address = one.Address }) },
        };
    }

    public Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken) =>
        Task.FromResult(BenchGroup.Reserve(folder, name, bytes));

    public Task ReportAsync(ReportRequest report, CancellationToken cancellationToken)
    {
        foreach (var point in report.Points)
        {
            _last[point.Name] = point.Value;
            Measured(point);
        }

        Parameters = report.Environment?.ParameterCount ?? Parameters;
        if (report.Progress is { } progress)
            Progressed(progress.Step);
        return Task.CompletedTask;
    }

    public async Task PutChunksAsync(IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken)
    {
        await StoreTakes.WaitAsync(cancellationToken);
        await foreach (var _ in chunks.WithCancellation(cancellationToken))
        {
            // Written as in any run, and forgotten.
        }
    }

    public Task<string> CommitCheckpointAsync(CheckpointManifest part, int parts, CancellationToken cancellationToken) =>
        Task.FromResult("not kept");

    public Task<CheckpointManifest> GetCheckpointAsync(string checkpointId, CancellationToken cancellationToken) => throw NotKept();

    public IAsyncEnumerable<ReadOnlyMemory<byte>> GetChunksAsync(
        string checkpointId, IReadOnlyList<ByteString> sha256, CancellationToken cancellationToken) =>
        throw NotKept();

    private static NotSupportedException NotKept() => new("no checkpoint is kept here");
}
