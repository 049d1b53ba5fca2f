using Cluster.Contracts.V1;

namespace Cluster.Contracts.Safetensors;

/// <summary>Files of a checkpoint put together to one safetensors file as they are downloaded, whatever split wrote them.</summary>
public sealed class MergedWeights
{
    private readonly CheckpointStream _stream;
    private readonly IReadOnlyList<Part> _parts;
    private readonly TensorMerge _merge;

    private MergedWeights(CheckpointStream stream, IReadOnlyList<Part> parts, TensorMerge merge) =>
        (_stream, _parts, _merge) = (stream, parts, merge);

    /// <summary>Called with bytes that belong at a place of the whole file, in any order.</summary>
    public delegate void Place(long begin, ReadOnlySpan<byte> content);

    /// <summary>Of the whole file.</summary>
    public long Bytes => _merge.Bytes;

    /// <summary>
    /// Whether each file has its bytes in the order in which the whole file has them, as our trainers write them: then it can be written
    /// from its beginning to its end.
    /// </summary>
    public bool IsInOrder => _parts.All(part => _merge.RunsOf(part.File.Name).Zip(_merge.RunsOf(part.File.Name).Skip(1))
        .All(pair => pair.First.Target <= pair.Second.Target));

    /// <summary>Reads no more than what the headers take.</summary>
    /// <param name="stream">Of the checkpoint that the manifest is of.</param>
    /// <param name="isWanted">Which files, by their names.</param>
    /// <exception cref="InvalidDataException">They do not make whole tensors.</exception>
    public static async Task<MergedWeights> PlanAsync(
        CheckpointStream stream, CheckpointManifest manifest, Func<string, bool> isWanted, CancellationToken cancellationToken)
    {
        var parts = new List<Part>();
        var headers = new Dictionary<string, IReadOnlyList<SafetensorsEntry>>();
        foreach (var file in manifest.Files.Where(file => isWanted(file.Name)))
        {
            (headers[file.Name], var dataBegin) = await stream.HeaderAsync(file, cancellationToken);
            parts.Add(new Part(file, dataBegin));
        }

        return new MergedWeights(stream, parts, TensorMerge.Plan(manifest, headers));
    }

    /// <summary>File after file, each chunk's bytes to where they belong; needs no more memory than a chunk takes.</summary>
    /// <exception cref="InvalidDataException">A chunk is not what was stored, or one is missing.</exception>
    public async Task CopyAsync(Place place, CancellationToken cancellationToken)
    {
        place(0, _merge.Header);
        foreach (var (begin, content) in _merge.Constants)
            place(begin, content);
        foreach (var part in _parts)
            await CopyAsync(part, place, cancellationToken);
    }

    /// <summary>From the file's beginning to its end, from all files' streams at once; needs a chunk of each in memory.</summary>
    /// <inheritdoc cref="CopyAsync(Place, CancellationToken)"/>
    /// <exception cref="InvalidOperationException">It is not <see cref="IsInOrder"/>.</exception>
    public async Task WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        if (!IsInOrder)
            throw new InvalidOperationException("a file's bytes come in another order than they are wanted in");
        var readers = _parts.ToDictionary(
            part => part.File.Name,
            part => new Reader(_stream.ChunksAsync(part.File, cancellationToken).GetAsyncEnumerator(cancellationToken), part));
        try
        {
            await target.WriteAsync(_merge.Header, cancellationToken);
            foreach (var piece in Pieces())
            {
                if (piece.File is null)
                    await target.WriteAsync(piece.Constant, cancellationToken);
                else
                    await readers[piece.File].CopyAsync(piece.Run, target, cancellationToken);
            }

            await target.FlushAsync(cancellationToken);
        }
        finally
        {
            foreach (var reader in readers.Values)
                await reader.DisposeAsync();
        }
    }

    private IEnumerable<Piece> Pieces() => _parts
        .SelectMany(part => _merge.RunsOf(part.File.Name), (part, run) => new Piece(run.Target, part.File.Name, run, null))
        .Concat(_merge.Constants.Select(constant => new Piece(constant.Target, null, default, constant.Content)))
        .OrderBy(piece => piece.Target);

    /// <summary>A run may be cut by chunks, and a chunk hold many runs.</summary>
    private async Task CopyAsync(Part part, Place place, CancellationToken cancellationToken)
    {
        var runs = _merge.RunsOf(part.File.Name);
        var (chunkBegin, next) = (-part.DataBegin, 0);
        await foreach (var chunk in _stream.ChunksAsync(part.File, cancellationToken))
        {
            var chunkEnd = chunkBegin + chunk.Length;
            for (; next < runs.Count && runs[next].Source < chunkEnd; next++)
            {
                var run = runs[next];
                var from = Math.Max(run.Source, chunkBegin);
                var to = Math.Min(run.Source + run.Bytes, chunkEnd);
                place(run.Target + (from - run.Source), chunk.Span[(int)(from - chunkBegin)..(int)(to - chunkBegin)]);
                if (run.Source + run.Bytes > chunkEnd)
                    break;
            }

            chunkBegin = chunkEnd;
        }
    }

    /// <param name="DataBegin">Where its header ends.</param>
    private sealed record Part(CheckpointFile File, long DataBegin);

    /// <param name="File">Null: the content is a constant.</param>
    private readonly record struct Piece(long Target, string? File, TensorMerge.Run Run, byte[]? Constant);

    /// <summary>Goes through a file's chunks once, and never back.</summary>
    private sealed class Reader(IAsyncEnumerator<ReadOnlyMemory<byte>> chunks, Part part) : IAsyncDisposable
    {
        private ReadOnlyMemory<byte> _chunk;
        private long _chunkBegin = -part.DataBegin;

        public async ValueTask CopyAsync(TensorMerge.Run run, Stream target, CancellationToken cancellationToken)
        {
            var (at, end) = (run.Source, run.Source + run.Bytes);
            while (at < end)
            {
                while (at >= _chunkBegin + _chunk.Length)
                {
                    _chunkBegin += _chunk.Length;
                    _chunk = await chunks.MoveNextAsync()
                        ? chunks.Current
                        : throw new InvalidDataException($"{part.File.Name} ended early");
                }

                var content = _chunk[(int)(at - _chunkBegin)..(int)Math.Min(_chunk.Length, end - _chunkBegin)];
                await target.WriteAsync(content, cancellationToken);
                at += content.Length;
            }
        }

        public ValueTask DisposeAsync() => chunks.DisposeAsync();
    }
}
