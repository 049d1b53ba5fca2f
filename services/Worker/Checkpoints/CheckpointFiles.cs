using System.Security.Cryptography;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Worker.Checkpoints;

/// <summary>Random access to a checkpoint's files by fetching the chunks that a range needs.</summary>
internal sealed class CheckpointFiles(ITrainerLink link, string checkpointId, CheckpointManifest manifest)
{
    // Tensors are read one after another and most are smaller than a chunk: keeping a few saves fetching one again and again.
    private const int KeptChunks = 4;

    private readonly Dictionary<string, (long DataBegin, Dictionary<string, SafetensorsEntry> Entries)> _headers = [];
    private readonly Queue<ByteString> _keptOrder = new();
    private readonly Dictionary<ByteString, byte[]> _kept = [];
    private long _bytesRead;

    /// <summary>Of chunks that have come, so far. Safe from any thread.</summary>
    public long BytesRead => Interlocked.Read(ref _bytesRead);

    public Task<byte[]> ReadAllAsync(string name, CancellationToken cancellationToken)
    {
        var file = File(name);
        return ReadAsync(file, 0, checked((int)file.Bytes), cancellationToken);
    }

    /// <summary>Bytes of a safetensors file, counted from the end of its header.</summary>
    public async Task<byte[]> ReadDataAsync(string name, long begin, int count, CancellationToken cancellationToken)
    {
        var (dataBegin, _) = await HeaderAsync(name, cancellationToken);
        return await ReadAsync(File(name), dataBegin + begin, count, cancellationToken);
    }

    public async Task<SafetensorsEntry> EntryAsync(string name, string tensor, CancellationToken cancellationToken)
    {
        var (_, entries) = await HeaderAsync(name, cancellationToken);
        return entries.TryGetValue(tensor, out var entry)
            ? entry
            : throw new InvalidDataException($"the checkpoint's {name} has no tensor '{tensor}', though its manifest says so");
    }

    private CheckpointFile File(string name) =>
        manifest.Files.FirstOrDefault(file => file.Name == name) ?? throw new InvalidDataException($"the checkpoint has no file '{name}'");

    private async Task<(long DataBegin, Dictionary<string, SafetensorsEntry> Entries)> HeaderAsync(
        string name, CancellationToken cancellationToken)
    {
        if (_headers.TryGetValue(name, out var known))
            return known;
        var file = File(name);
        var length = SafetensorsReader.HeaderBytes(
            await ReadAsync(file, 0, (int)Math.Min(file.Bytes, sizeof(long)), cancellationToken), file.Bytes);
        var dataBegin = sizeof(long) + length;
        var json = await ReadAsync(file, sizeof(long), length, cancellationToken);
        var entries = SafetensorsReader.ParseHeader(json, file.Bytes - dataBegin).ToDictionary(entry => entry.Name);
        return _headers[name] = (dataBegin, entries);
    }

    private async Task<byte[]> ReadAsync(CheckpointFile file, long begin, int count, CancellationToken cancellationToken)
    {
        if (begin < 0 || begin + count > file.Bytes)
            throw new InvalidDataException($"bytes {begin} to {begin + count} lie outside {file.Name} of {file.Bytes} bytes");
        var result = new byte[count];
        var needed = Overlapping(file, begin, count).ToList();
        var fetched = await FetchAsync(needed.ConvertAll(chunk => chunk.Ref), cancellationToken);
        for (var i = 0; i < needed.Count; i++)
        {
            var from = Math.Max(begin, needed[i].Begin);
            var to = Math.Min(begin + count, needed[i].Begin + needed[i].Ref.Bytes);
            fetched[i].AsSpan((int)(from - needed[i].Begin), (int)(to - from)).CopyTo(result.AsSpan((int)(from - begin)));
        }

        return result;
    }

    private static IEnumerable<(ChunkRef Ref, long Begin)> Overlapping(CheckpointFile file, long begin, int count)
    {
        var at = 0L;
        foreach (var chunk in file.Chunks)
        {
            if (at < begin + count && at + chunk.Bytes > begin)
                yield return (chunk, at);
            at += chunk.Bytes;
        }
    }

    private async Task<byte[][]> FetchAsync(List<ChunkRef> chunks, CancellationToken cancellationToken)
    {
        // Equal chunks (zeros, often) are one chunk in the store.
        var found = new Dictionary<ByteString, byte[]>();
        var missing = new List<ChunkRef>();
        foreach (var chunk in chunks.DistinctBy(chunk => chunk.Sha256))
        {
            if (_kept.TryGetValue(chunk.Sha256, out var kept))
                found[chunk.Sha256] = kept;
            else
                missing.Add(chunk);
        }

        if (missing.Count > 0)
            await FetchMissingAsync(missing, found, cancellationToken);
        return [.. chunks.Select(chunk => found[chunk.Sha256])];
    }

    private async Task FetchMissingAsync(List<ChunkRef> missing, Dictionary<ByteString, byte[]> found, CancellationToken cancellationToken)
    {
        var next = 0;
        await foreach (var data in link.GetChunksAsync(checkpointId, missing.ConvertAll(chunk => chunk.Sha256), cancellationToken))
        {
            if (next == missing.Count)
                throw new InvalidDataException($"more than the {missing.Count} chunks asked for came back");
            var chunk = missing[next++];
            Interlocked.Add(ref _bytesRead, data.Length);
            if (data.Length != chunk.Bytes || !chunk.Sha256.Span.SequenceEqual(SHA256.HashData(data.Span)))
                throw new InvalidDataException($"chunk {Convert.ToHexStringLower(chunk.Sha256.Span)} came back changed");
            var bytes = found[chunk.Sha256] = data.ToArray();
            Keep(chunk.Sha256, bytes);
        }

        if (next < missing.Count)
            throw new InvalidDataException($"only {next} of {missing.Count} chunks came back");
    }

    private void Keep(ByteString sha256, byte[] bytes)
    {
        if (!_kept.TryAdd(sha256, bytes))
            return;
        _keptOrder.Enqueue(sha256);
        if (_keptOrder.Count > KeptChunks)
            _kept.Remove(_keptOrder.Dequeue());
    }
}
