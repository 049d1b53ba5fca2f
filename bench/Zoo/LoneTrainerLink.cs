using Cluster.Contracts.V1;
using Cluster.Worker;
using Google.Protobuf;

namespace Cluster.Bench.Zoo;

/// <summary>An agent for a trainer without peers: keeps each series' last point, and takes checkpoints without storing them.</summary>
internal sealed class LoneTrainerLink : ITrainerLink
{
    private readonly Dictionary<string, double> _last = [];

    public long Parameters { get; private set; }

    /// <summary>Called after each report with the steps done by then.</summary>
    public Action<long> Progressed { get; init; } = _ => { };

    /// <summary>What a checkpoint's bytes wait for, as they would for a slow store.</summary>
    public Task StoreTakes { get; init; } = Task.CompletedTask;

    public double Last(string series) => _last[series];

    public Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken) =>
        Task.FromResult(new RendezvousResponse { Endpoints = { new RankEndpoint { NodeId = "bench", Address = address } } });

    public Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken) =>
        throw new NotSupportedException("a rank without peers shares no memory");

    public Task ReportAsync(ReportRequest report, CancellationToken cancellationToken)
    {
        foreach (var point in report.Points)
            _last[point.Name] = point.Value;
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
