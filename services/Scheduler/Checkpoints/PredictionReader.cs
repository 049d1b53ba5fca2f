using System.Runtime.CompilerServices;
using Cluster.Contracts;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Npgsql;

namespace Cluster.Scheduler.Checkpoints;

/// <summary>Puts the ranks' predictions together again, in the order of the samples. Holds one chunk a rank at a time.</summary>
public sealed class PredictionReader([FromKeyedServices(StorePool.Queries)] ClusterDatabase database, ChunkStore chunks)
{
    /// <exception cref="NoPredictionsException">The job has stored none.</exception>
    public async IAsyncEnumerable<Prediction> ReadAsync(JobId job, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (id, manifest) = await NewestAsync(job, cancellationToken)
            ?? throw new NoPredictionsException($"job {job} has stored no predictions");
        var ranks = manifest.Files.Where(file => CheckpointLayout.HoldsPredictions(file.Name))
            .Select(file => RowsAsync(id, file, cancellationToken).GetAsyncEnumerator(cancellationToken)).ToList();
        try
        {
            // Each rank's rows ascend, so the least of the ranks' next rows is the next of all.
            var next = new PriorityQueue<IAsyncEnumerator<Prediction>, long>();
            foreach (var rank in ranks)
                await AdvanceAsync(rank);
            while (next.TryDequeue(out var rank, out _))
            {
                yield return rank.Current;
                await AdvanceAsync(rank);
            }

            async Task AdvanceAsync(IAsyncEnumerator<Prediction> rank)
            {
                if (await rank.MoveNextAsync())
                    next.Enqueue(rank, rank.Current.Index);
            }
        }
        finally
        {
            foreach (var rank in ranks)
                await rank.DisposeAsync();
        }
    }

    private Task<(Guid Id, CheckpointManifest Manifest)?> NewestAsync(JobId job, CancellationToken cancellationToken) =>
        database.RunAsync<(Guid, CheckpointManifest)?>(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "select id, manifest from checkpoints where job_id = $1 and kind = 'Predictions' order by created_at desc limit 1",
                connection)
            {
                Parameters = { new() { Value = job.Value } },
            };
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token)
                ? (reader.GetGuid(0), CheckpointManifest.Parser.ParseFrom(reader.GetFieldValue<byte[]>(1)))
                : null;
        }, cancellationToken);

    /// <summary>The length-delimited messages of one file, which chunks cut wherever they please.</summary>
    private async IAsyncEnumerable<Prediction> RowsAsync(
        Guid checkpoint, CheckpointFile file, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rest = Array.Empty<byte>();
        foreach (var chunk in file.Chunks)
        {
            var data = await chunks.GetAsync(checkpoint, chunk.Sha256, cancellationToken);
            byte[] bytes = [.. rest, .. data];
            var at = 0;
            while (TryRead(bytes, ref at) is { } row)
                yield return row;
            rest = bytes[at..];
        }

        if (rest.Length > 0)
            throw new InvalidDataException($"{file.Name} of artifact {checkpoint} ends within a row");
    }

    /// <summary>Null where the next message is not whole yet.</summary>
    private static Prediction? TryRead(byte[] bytes, ref int at)
    {
        // A varint of an int32 has five bytes at most; whether it is there can be told by its last byte's high bit.
        var end = at;
        while (end < bytes.Length && (bytes[end] & 0x80) != 0)
            end++;
        if (end == bytes.Length)
            return null;
        var length = (int)new CodedInputStream(bytes, at, end + 1 - at).ReadUInt32();
        var begin = end + 1;
        if (length > bytes.Length - begin)
            return null;
        at = begin + length;
        return Prediction.Parser.ParseFrom(bytes, begin, length);
    }
}
