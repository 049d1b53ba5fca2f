using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Worker.Training;

/// <summary>What a trainer may ask of its agent, and through it of the scheduler. Calls outlast a restart of the scheduler.</summary>
/// <remarks>Every call throws <see cref="StaleAttemptException"/> once another attempt has taken this one's place.</remarks>
public interface ITrainerLink
{
    /// <summary>
    /// Posts this rank's address under <paramref name="name"/> and waits until every rank of the attempt has posted, or for some seconds.
    /// </summary>
    /// <param name="name">Tells several rendezvous of one attempt apart; each is held once.</param>
    /// <param name="address">"host:port" where this rank listens.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>All ranks' endpoints, in rank order, or those that are missing.</returns>
    Task<RendezvousResponse> RendezvousAsync(string name, string address, CancellationToken cancellationToken);

    /// <summary>
    /// Says what this rank does before it has an address: a sign of life, and what its peers tell people whom they wait for.
    /// </summary>
    Task PrepareRendezvousAsync(string name, string preparing, CancellationToken cancellationToken);

    /// <summary>
    /// A segment of memory shared by the attempt's ranks on this node: zeroed, reserved in full, gone when the attempt ends.
    /// The first call for a name makes it; all calls must ask for the same size.
    /// </summary>
    /// <returns>A path to open and map, shared and writable.</returns>
    /// <exception cref="IOException">There is less memory than asked for. The message names both sizes.</exception>
    Task<string> ReserveSharedMemoryAsync(string name, long bytes, CancellationToken cancellationToken);

    Task ReportAsync(ReportRequest report, CancellationToken cancellationToken);

    /// <summary>Stores chunks under their hashes. Chunks that are there already are not stored twice.</summary>
    Task PutChunksAsync(IAsyncEnumerable<PutChunksRequest> chunks, CancellationToken cancellationToken);

    /// <summary>Hands in this rank's part and waits until all <paramref name="parts"/> are in and the checkpoint can be seen.</summary>
    /// <returns>The checkpoint's id.</returns>
    Task<string> CommitCheckpointAsync(CheckpointManifest part, int parts, CancellationToken cancellationToken);

    Task<CheckpointManifest> GetCheckpointAsync(string checkpointId, CancellationToken cancellationToken);

    /// <summary>The chunks' data, in the order asked for.</summary>
    IAsyncEnumerable<ReadOnlyMemory<byte>> GetChunksAsync(
        string checkpointId, IReadOnlyList<ByteString> sha256, CancellationToken cancellationToken);
}

/// <summary>Another attempt of the job has taken this one's place; what this one does counts no more, and it must end.</summary>
public sealed class StaleAttemptException(Exception? innerException = null)
    : Exception("another attempt of this job has taken this one's place", innerException);
