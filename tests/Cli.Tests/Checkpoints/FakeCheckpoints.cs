using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Cli.Tests.Checkpoints;

/// <summary>One checkpoint of a scheduler, whose chunks a test may have changed or cut off, and what was imported.</summary>
internal sealed class FakeCheckpoints : CheckpointService.CheckpointServiceBase
{
    public const string Id = "0198f00d-1111-7222-8333-444455556666";

    private readonly Dictionary<string, List<byte[]>> files = [];

    public CheckpointManifest Manifest { get; } = new() { Step = 40 };

    /// <summary>How many chunks of a file arrive before the connection breaks.</summary>
    public int CutAfter { get; set; } = int.MaxValue;

    /// <summary>Whether a file's last chunk comes back changed.</summary>
    public bool LastChunkIsChanged { get; set; }

    public ImportedFile? Imported { get; private set; }

    public MemoryStream ImportedContent { get; } = new();

    public void Add(string name, IEnumerable<byte[]> chunks)
    {
        files[name] = [.. chunks];
        Manifest.Files.Add(new CheckpointFile
        {
            Name = name,
            Bytes = files[name].Sum(chunk => (long)chunk.Length),
            Chunks =
            {
                files[name].Select(chunk => new ChunkRef { Sha256 = ByteString.CopyFrom(SHA256.HashData(chunk)), Bytes = chunk.Length }),
            },
        });
    }

    public override Task<DescribeCheckpointResponse> DescribeCheckpoint(DescribeCheckpointRequest request, ServerCallContext context) =>
        Id.StartsWith(request.CheckpointId, StringComparison.Ordinal)
            ? Task.FromResult(new DescribeCheckpointResponse { Checkpoint = new Checkpoint { Id = Id }, Manifest = Manifest })
            : throw new RpcException(new Status(StatusCode.NotFound, $"no checkpoint has an id that begins with {request.CheckpointId}"));

    public override Task<DeleteCheckpointResponse> DeleteCheckpoint(DeleteCheckpointRequest request, ServerCallContext context) =>
        Task.FromResult(new DeleteCheckpointResponse
        {
            Checkpoint = new Checkpoint { Id = Id, Source = request.CheckpointId + ".safetensors", Step = 40, Bytes = 246_824 },
        });

    public override async Task DownloadFile(
        DownloadFileRequest request, IServerStreamWriter<DownloadFileResponse> responseStream, ServerCallContext context)
    {
        foreach (var (index, chunk) in files[request.File].Index())
        {
            if (index == CutAfter)
                throw new RpcException(new Status(StatusCode.Unavailable, "gone"));
            var data = LastChunkIsChanged && index == files[request.File].Count - 1 ? [.. chunk.Select(b => (byte)(b + 1))] : chunk;
            await responseStream.WriteAsync(
                new DownloadFileResponse { Data = UnsafeByteOperations.UnsafeWrap(data) }, context.CancellationToken);
        }
    }

    public override async Task<ImportCheckpointResponse> ImportCheckpoint(
        IAsyncStreamReader<ImportCheckpointRequest> requestStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            Imported ??= requestStream.Current.File;
            if (requestStream.Current.Chunk is { } chunk)
            {
                chunk.Sha256.Span.SequenceEqual(SHA256.HashData(chunk.Data.Span)).ShouldBeTrue();
                ImportedContent.Write(chunk.Data.Span);
            }
        }

        return new ImportCheckpointResponse
        {
            Checkpoint = new Checkpoint { Id = Id, Source = Imported!.Name, Bytes = Imported.Bytes, Model = Imported.Model },
        };
    }
}
