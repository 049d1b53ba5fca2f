using System.Threading.Channels;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>AttemptService on the agent's socket: passes a trainer's calls on to the scheduler, and outlasts its restarts.</summary>
internal sealed class AttemptRelay(AttemptTable attempts, SchedulerLink scheduler, SchedulerRetry retry) : AttemptService.AttemptServiceBase
{
    // What one call to the scheduler carries, and so what is sent again when it fails half-way.
    private const int BatchBytes = 8 << 20;

    // Chunks that are fetched at once, so that the way to the store is never idle.
    private const int ChunksAhead = 4;

    public override async Task<ReportResponse> Report(ReportRequest request, ServerCallContext context)
    {
        var (attempt, rank) = attempts.Authenticate(context);
        if (request.Started)
            attempt.Started(rank);
        try
        {
            await rank.Reports.AddAsync(request, context.CancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw RankHasEnded();
        }

        return new ReportResponse();
    }

    public override Task<RendezvousResponse> Rendezvous(RendezvousRequest request, ServerCallContext context) =>
        RelayAsync("Rendezvous", context, async options => await scheduler.Attempts.RendezvousAsync(request, options));

    public override Task<GetCheckpointResponse> GetCheckpoint(GetCheckpointRequest request, ServerCallContext context) =>
        RelayAsync("GetCheckpoint", context, async options => await scheduler.Attempts.GetCheckpointAsync(request, options));

    /// <summary>
    /// What the rank has reported goes first: an attempt that goes on from a checkpoint does not make the steps before it again, so their
    /// figures may not be lost with this agent.
    /// </summary>
    public override Task<CommitCheckpointResponse> CommitCheckpoint(CommitCheckpointRequest request, ServerCallContext context)
    {
        var (_, rank) = attempts.Authenticate(context);
        return RelayAsync("CommitCheckpoint", context, async options =>
        {
            try
            {
                await rank.Reports.SentAsync(options.CancellationToken);
            }
            catch (ChannelClosedException)
            {
                throw RankHasEnded();
            }

            return await scheduler.Attempts.CommitCheckpointAsync(request, options);
        });
    }

    public override async Task<PutChunksResponse> PutChunks(IAsyncStreamReader<PutChunksRequest> requestStream, ServerCallContext context)
    {
        // Before anything of it is held.
        attempts.Authenticate(context);
        var total = new PutChunksResponse();
        var batch = new List<PutChunksRequest>();
        var bytes = 0;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            batch.Add(requestStream.Current);
            bytes += requestStream.Current.Data.Length;
            if (bytes < BatchBytes)
                continue;
            total.StoredBytes += await PutAsync(batch, context);
            batch.Clear();
            bytes = 0;
        }

        if (batch.Count > 0)
            total.StoredBytes += await PutAsync(batch, context);
        return total;
    }

    public override Task GetChunks(
        GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, ServerCallContext context)
    {
        var (attempt, _) = attempts.Authenticate(context);
        return attempt.Ranks.Count > 1
            ? ShareChunksAsync(request, responseStream, attempt.Chunks, context)
            : PassChunksOnAsync(request, responseStream, context);
    }

    private async Task PassChunksOnAsync(
        GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, ServerCallContext context)
    {
        var delivered = 0;
        await RelayAsync("GetChunks", context, async options =>
        {
            // After an interruption only what has not arrived yet is asked for.
            var rest = new GetChunksRequest { CheckpointId = request.CheckpointId, Sha256 = { request.Sha256.Skip(delivered) } };
            using var call = scheduler.Attempts.GetChunks(rest, options);
            while (await call.ResponseStream.MoveNext(context.CancellationToken))
            {
                await responseStream.WriteAsync(call.ResponseStream.Current, context.CancellationToken);
                delivered++;
            }

            return delivered;
        });
    }

    /// <summary>Chunk by chunk, some ahead of the one that is written.</summary>
    private async Task ShareChunksAsync(
        GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, SharedChunks shared, ServerCallContext context)
    {
        var pending = new Queue<Task<ByteString>>();
        try
        {
            foreach (var sha256 in request.Sha256)
            {
                pending.Enqueue(
                    shared.GetAsync(sha256, () => GetChunkAsync(request.CheckpointId, sha256, context), context.CancellationToken));
                if (pending.Count == ChunksAhead)
                    await WriteFirstAsync();
            }

            while (pending.Count > 0)
                await WriteFirstAsync();
        }
        finally
        {
            // Others may wait for them, and a fault that the first one has told already is no news.
            await Task.WhenAll(pending)
                .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        async Task WriteFirstAsync() =>
            await responseStream.WriteAsync(new GetChunksResponse { Data = await pending.Dequeue() }, context.CancellationToken);
    }

    private Task<ByteString> GetChunkAsync(string checkpointId, ByteString sha256, ServerCallContext context) =>
        RelayAsync("GetChunks", context, async options =>
        {
            using var call = scheduler.Attempts.GetChunks(
                new GetChunksRequest { CheckpointId = checkpointId, Sha256 = { sha256 } }, options);
            if (!await call.ResponseStream.MoveNext(options.CancellationToken))
                throw new RpcException(new Status(StatusCode.Internal, "the scheduler gave no chunk where it was asked for one"));
            return call.ResponseStream.Current.Data;
        });

    private async Task<long> PutAsync(List<PutChunksRequest> batch, ServerCallContext context)
    {
        var response = await RelayAsync("PutChunks", context, async options =>
        {
            using var call = scheduler.Attempts.PutChunks(options);
            return await call.SendAsync(batch.ToAsyncEnumerable(), options.CancellationToken);
        });
        return response.StoredBytes;
    }

    private async Task<T> RelayAsync<T>(string operation, ServerCallContext context, Func<CallOptions, Task<T>> call)
    {
        var (attempt, rank) = attempts.Authenticate(context);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, attempt.Stale);
        try
        {
            return await retry.WithinOutageLimitAsync(
                operation, token => call(SchedulerLink.AsRank(rank.Key, attempt.Secret, DeadlineOf(context), token)), ends.Token);
        }
        catch (RpcException e)
        {
            if (e.StatusCode == StatusCode.Aborted)
                attempt.EndStale($"the attempt is no longer current: {e.Status.Detail}");
            // A new exception: the one caught may carry trailers of a connection that is not this one.
            throw new RpcException(new Status(e.Meaning(), e.Status.Detail));
        }
        catch (OperationCanceledException) when (attempt.Stale.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Aborted, "another attempt has taken this one's place"));
        }
    }

    private static RpcException RankHasEnded() => new(new Status(StatusCode.Aborted, "the rank has ended"));

    private static DateTime? DeadlineOf(ServerCallContext context) => context.Deadline == DateTime.MaxValue ? null : context.Deadline;
}
