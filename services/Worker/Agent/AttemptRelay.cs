using System.Threading.Channels;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Worker.Agent;

/// <summary>AttemptService on the agent's socket: passes a trainer's calls on to the scheduler, and outlasts its restarts.</summary>
internal sealed class AttemptRelay(AttemptTable attempts, SchedulerLink scheduler, SchedulerRetry retry) : AttemptService.AttemptServiceBase
{
    // What one call to the scheduler carries, and so what is sent again when it fails half-way.
    private const int BatchBytes = 8 << 20;

    public override async Task<ReportResponse> Report(ReportRequest request, ServerCallContext context)
    {
        var (_, rank) = attempts.Authenticate(context);
        try
        {
            await rank.Reports.AddAsync(request, context.CancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw new RpcException(new Status(StatusCode.Aborted, "the rank has ended"));
        }

        return new ReportResponse();
    }

    public override Task<RendezvousResponse> Rendezvous(RendezvousRequest request, ServerCallContext context) =>
        RelayAsync("Rendezvous", context, async options => await scheduler.Attempts.RendezvousAsync(request, options));

    public override Task<GetCheckpointResponse> GetCheckpoint(GetCheckpointRequest request, ServerCallContext context) =>
        RelayAsync("GetCheckpoint", context, async options => await scheduler.Attempts.GetCheckpointAsync(request, options));

    public override Task<CommitCheckpointResponse> CommitCheckpoint(CommitCheckpointRequest request, ServerCallContext context) =>
        RelayAsync("CommitCheckpoint", context, async options => await scheduler.Attempts.CommitCheckpointAsync(request, options));

    public override async Task<PutChunksResponse> PutChunks(IAsyncStreamReader<PutChunksRequest> requestStream, ServerCallContext context)
    {
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

    public override async Task GetChunks(GetChunksRequest request, IServerStreamWriter<GetChunksResponse> responseStream, ServerCallContext context)
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

    private static DateTime? DeadlineOf(ServerCallContext context) => context.Deadline == DateTime.MaxValue ? null : context.Deadline;
}
