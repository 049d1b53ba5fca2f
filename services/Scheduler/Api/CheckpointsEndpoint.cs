using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Limits;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>Weights out of the store and into it, over gRPC. Files pass through in chunks and are never held whole.</summary>
internal sealed class CheckpointsEndpoint(
    CheckpointQueries queries, ChunkStore chunks, CheckpointImport import, CheckpointDeletion deletion, WorkspaceRule workspaces,
    IOptions<LimitOptions> limits)
    : CheckpointService.CheckpointServiceBase
{
    private const int LongestFileName = 200;

    public override async Task<DescribeCheckpointResponse> DescribeCheckpoint(DescribeCheckpointRequest request, ServerCallContext context)
    {
        var checkpoint = await FindAsync(request.CheckpointId, context);
        return new DescribeCheckpointResponse
        {
            Checkpoint = checkpoint,
            Manifest = await queries.GetManifestAsync(Guid.Parse(checkpoint.Id), context.CancellationToken),
        };
    }

    public override async Task DownloadFile(
        DownloadFileRequest request, IServerStreamWriter<DownloadFileResponse> responseStream, ServerCallContext context)
    {
        if (!Guid.TryParse(request.CheckpointId, out var id))
            throw new InvalidRequestException($"checkpoint_id is '{request.CheckpointId}'; give the whole id, as DescribeCheckpoint does");
        // Finds only what the caller sees.
        await FindAsync($"{id}", context);
        var manifest = await queries.GetManifestAsync(id, context.CancellationToken);
        var file = manifest.Files.FirstOrDefault(file => file.Name == request.File)
            ?? throw new InvalidRequestException(
                $"file is '{request.File}'; checkpoint {id} has {string.Join(", ", manifest.Files.Select(file => file.Name))}");
        foreach (var chunk in file.Chunks)
        {
            var data = UnsafeByteOperations.UnsafeWrap(await chunks.GetAsync(id, chunk.Sha256, context.CancellationToken));
            await responseStream.WriteAsync(new DownloadFileResponse { Data = data }, context.CancellationToken);
        }
    }

    public override async Task<ImportCheckpointResponse> ImportCheckpoint(
        IAsyncStreamReader<ImportCheckpointRequest> requestStream, ServerCallContext context)
    {
        if (Caller.Of(context).Workspaces is not null)
        {
            throw new RpcException(new Status(
                StatusCode.PermissionDenied, "the token is limited to workspaces, and imported weights lie in none; use one that is not"));
        }

        if (!await requestStream.MoveNext(context.CancellationToken) || requestStream.Current.File is not { } file)
            throw new InvalidRequestException("the first message describes no file; set file");
        RequestText.Check("file.name", file.Name, LongestFileName);
        if (file.Bytes > limits.Value.ImportBytes)
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted,
                $"file.bytes is {file.Bytes}; at most {limits.Value.ImportBytes} are taken (Limits:ImportBytes)"));
        }

        var faults = JobSpecValidator.CheckModel(file.Model ?? new ModelSpec());
        if (faults.Count > 0)
            throw new JobFileException(faults);
        // In the types that job files give them, so that the two can be compared.
        _ = ModelCatalog.TryGet(file.Model!.Name, out var model);
        foreach (var (name, value) in file.Model.Options.ToList())
            file.Model.Options[name] = model!.Option(name)!.Coerce(value);
        var id = await import.ImportAsync(
            Caller.Of(context).Owner, file, ChunksAsync(requestStream, context.CancellationToken), context.CancellationToken);
        _ = IdPrefix.TryParse(id.ToString(), out var whole);
        return new ImportCheckpointResponse { Checkpoint = (await queries.FindAsync(whole, context.CancellationToken))[0] };
    }

    public override async Task<DeleteCheckpointResponse> DeleteCheckpoint(DeleteCheckpointRequest request, ServerCallContext context)
    {
        var checkpoint = await FindAsync(request.CheckpointId, context);
        if (!Caller.Of(context).MayChangeWhatIsOwnedBy(checkpoint.Owner))
            throw new RpcException(new Status(StatusCode.PermissionDenied,
                $"checkpoint {checkpoint.Id} belongs to {checkpoint.Owner}; deleting it needs the scope operator"));
        await deletion.DeleteAsync(Guid.Parse(checkpoint.Id), context.CancellationToken);
        return new DeleteCheckpointResponse { Checkpoint = checkpoint };
    }

    private async Task<Checkpoint> FindAsync(string id, ServerCallContext context)
    {
        if (!IdPrefix.TryParse(id, out var prefix))
            throw new InvalidRequestException(
                $"checkpoint_id is '{id}'; give the id or its first {IdPrefix.MinDigits} or more hexadecimal digits");
        var found = await queries.FindAsync(prefix, workspaces.Seen(context), context.CancellationToken);
        return found.Count switch
        {
            0 => throw new CheckpointNotFoundException($"no checkpoint has an id that begins with {prefix}"),
            1 => found[0],
            _ => throw new InvalidRequestException($"checkpoint_id is '{id}', with which several checkpoints' ids begin; give more of it"),
        };
    }

    private static async IAsyncEnumerable<PutChunksRequest> ChunksAsync(
        IAsyncStreamReader<ImportCheckpointRequest> requests,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await requests.MoveNext(cancellationToken))
            yield return requests.Current.Chunk
                ?? throw new InvalidRequestException("a message after the first has no chunk; send the file's bytes in chunks");
    }
}
