using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Placement;
using Cluster.Scheduler.Queues;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>Queues over gRPC.</summary>
internal sealed class QueuesEndpoint(
    QueueStore store, QueueQueries queries, ReconcileSignal signal, WorkspaceRule workspaces, IOptions<PlacementOptions> placement,
    TimeProvider time)
    : QueueService.QueueServiceBase
{
    // More than any cluster has; sums of them are still numbers.
    private const int MostDevices = 1_000_000;

    private UseTerms Terms => new(time.GetUtcNow(), placement.Value.HalfLife);

    public override async Task<ListQueuesResponse> ListQueues(ListQueuesRequest request, ServerCallContext context)
    {
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(
            () => queries.ListAsync(size, request.PageToken, Terms, workspaces.Seen(context), context.CancellationToken));
        return new ListQueuesResponse { Queues = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<GetQueueResponse> GetQueue(GetQueueRequest request, ServerCallContext context) =>
        new() { Queue = await FindAsync(request.Name, context) };

    public override async Task<CreateQueueResponse> CreateQueue(CreateQueueRequest request, ServerCallContext context)
    {
        var queue = Check(request.Queue);
        Ensure(await store.CreateAsync(queue, context.CancellationToken), queue.Name);
        signal.Place();
        return new CreateQueueResponse { Queue = await FindAsync(queue.Name, context) };
    }

    public override async Task<UpdateQueueResponse> UpdateQueue(UpdateQueueRequest request, ServerCallContext context)
    {
        var queue = Check(request.Queue);
        Ensure(await store.UpdateAsync(queue, context.CancellationToken), queue.Name);
        signal.Place();
        return new UpdateQueueResponse { Queue = await FindAsync(queue.Name, context) };
    }

    public override async Task<DeleteQueueResponse> DeleteQueue(DeleteQueueRequest request, ServerCallContext context)
    {
        CheckName(request.Name);
        if (request.Name == QueueNames.Default)
            throw Refused(StatusCode.FailedPrecondition, $"queue '{QueueNames.Default}' is where jobs wait that name none; it stays");
        Ensure(await store.DeleteAsync(request.Name, context.CancellationToken), request.Name);
        signal.Place();
        return new DeleteQueueResponse();
    }

    public override async Task<GetAccuracyResponse> GetAccuracy(GetAccuracyRequest request, ServerCallContext context)
    {
        if (request.Queue.Length > 0)
            CheckName(request.Queue);
        return await queries.AccuracyAsync(request.Queue, workspaces.Seen(context), context.CancellationToken);
    }

    private static Queue Check(Queue? queue)
    {
        if (queue is null)
            throw new InvalidRequestException("queue is unset; say what the queue is to be");
        CheckName(queue.Name);
        if (!(queue.Weight >= 0) || double.IsInfinity(queue.Weight))
            throw new InvalidRequestException($"weight is {queue.Weight}; give a number above 0, or 0 for 1");
        foreach (var same in queue.Quotas.GroupBy(quota => quota.Kind))
        {
            if (same.Key is not (DeviceKind.Cpu or DeviceKind.Cuda))
                throw new InvalidRequestException($"quotas.kind is {same.Key}; give CPU or CUDA");
            if (same.Count() > 1)
                throw new InvalidRequestException($"quotas has {same.Count()} entries of kind {same.Key}; give one");
            var quota = same.First();
            int[] counts = [quota.Nominal, quota.BorrowingLimit, quota.LendingLimit, quota.OwnerLimit];
            if (Array.Find(counts, count => count is < 0 or > MostDevices) is not 0 and var wrong)
                throw new InvalidRequestException($"quotas of {same.Key} has the number {wrong}; give 0 to {MostDevices}");
            if (!quota.HasNominal && (quota.HasBorrowingLimit || quota.HasLendingLimit))
                throw new InvalidRequestException($"quotas of {same.Key} limits borrowing or lending without nominal; give nominal");
        }

        return queue;
    }

    private static void CheckName(string name)
    {
        if (!Names.IsValid(name))
            throw new InvalidRequestException($"name is '{name}' but must be {Names.Range}; use a name such as research");
    }

    private static void Ensure(QueueRefusal? refusal, string name)
    {
        switch (refusal?.Kind)
        {
            case null:
                return;
            case QueueRefusalKind.Exists:
                throw Refused(StatusCode.AlreadyExists, $"there is a queue '{name}' already; update it, or choose another name");
            case QueueRefusalKind.NotFound:
                throw NotFound(name);
            case QueueRefusalKind.HasJobs:
                throw Refused(
                    StatusCode.FailedPrecondition, $"jobs wait or run in queue '{name}'; move them to another one, or let them end");
            case QueueRefusalKind.HasQueues:
                throw Refused(StatusCode.FailedPrecondition, $"other queues lie in queue '{name}'; give them another parent first");
            case QueueRefusalKind.HasSearches:
                throw Refused(
                    StatusCode.FailedPrecondition,
                    $"searches that go on make their trials in queue '{name}'; cancel them, or let them end");
            default:
                throw new InvalidRequestException(refusal.Fault);
        }
    }

    private async Task<QueueStatus> FindAsync(string name, ServerCallContext context)
    {
        CheckName(name);
        return await queries.GetAsync(name, Terms, workspaces.Seen(context), context.CancellationToken) ?? throw NotFound(name);
    }

    private static RpcException NotFound(string name) =>
        Refused(StatusCode.NotFound, $"there is no queue '{name}'; ./cluster queue list shows those that there are");

    private static RpcException Refused(StatusCode code, string detail) => new(new Status(code, detail));
}
