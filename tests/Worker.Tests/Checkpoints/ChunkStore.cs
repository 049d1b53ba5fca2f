using System.Runtime.CompilerServices;
using Cluster.Contracts.V1;
using Cluster.Worker.Training;
using Google.Protobuf;

namespace Cluster.Worker.Tests.Checkpoints;

/// <summary>The scheduler's store of checkpoints in memory: parts wait for each other, and the id of a checkpoint is its step.</summary>
internal sealed class ChunkStore : ITrainerLink
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, (CheckpointManifest Whole, int Parts, TaskCompletionSource<string> Committed)> _open = [];

    public Dictionary<ByteString, byte[]> Chunks { get; } = [];

    public Dictionary<string, CheckpointManifest> Manifests { get; } = [];

    /// <summary>Holds chunks back until it is set.</summary>
    public TaskCompletionSource? Gate { get; init; }

    public Exception? Fault { get; set; }

    public async Task PutChunksAsync(IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken)
    {
        if (Gate is not null)
            await Gate.Task.WaitAsync(cancellationToken);
        if (Fault is not null)
            throw Fault;
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            chunk.Data.Length.ShouldBeLessThanOrEqualTo(1 << 20);
            lock (_gate)
                Chunks[chunk.Sha256] = chunk.Data.ToByteArray();
        }
    }

    public Task<string> CommitCheckpointAsync(CheckpointManifest part, int parts, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!_open.TryGetValue(part.Step, out var open))
                open = (new CheckpointManifest { Step = part.Step }, 0,
                    new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously));
            open.Whole.Files.Add(part.Files);
            open.Whole.Tensors.Add(part.Tensors);
            _open[part.Step] = open with { Parts = open.Parts + 1 };
            if (open.Parts + 1 == parts)
            {
                Manifests[$"{part.Step}"] = open.Whole;
                open.Committed.SetResult($"{part.Step}");
            }

            return open.Committed.Task.WaitAsync(cancellationToken);
        }
    }

    public Task<CheckpointManifest> GetCheckpointAsync(string checkpointId, CancellationToken cancellationToken) =>
        Task.FromResult(Manifests[checkpointId]);

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> GetChunksAsync(
        string checkpointId, IReadOnlyList<ByteString> sha256, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var hash in sha256)
            yield return await Task.FromResult(Chunks[hash]);
    }

    public Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task ReportAsync(ReportRequest report, CancellationToken cancellationToken) => throw new NotSupportedException();
}
