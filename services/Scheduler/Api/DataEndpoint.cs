using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Models;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>Data over gRPC.</summary>
internal sealed class DataEndpoint(JobLookup lookup, WorkspaceRule workspaces, JobQueries jobs, SampleInquiry inquiry)
    : DataService.DataServiceBase
{
    private const int UsualCount = 24;
    private const int LargestCount = 64;
    private const int LastEpoch = 1_000_000;

    public override async Task<SampleJobResponse> SampleJob(SampleJobRequest request, ServerCallContext context)
    {
        if (request.Count is < 0 or > LargestCount)
            throw new InvalidRequestException($"count is {request.Count}; give 1 to {LargestCount}, or 0 for {UsualCount}");
        if (request.Epoch is < 0 or > LastEpoch)
            throw new InvalidRequestException($"epoch is {request.Epoch}; give 0 to {LastEpoch}");
        var id = await lookup.FindAsync(request.JobId, workspaces.Seen(context), context.CancellationToken);
        var job = await jobs.GetAsync(id, context.CancellationToken) ?? throw JobNotFoundException.For(id);
        var count = request.Count == 0 ? UsualCount : request.Count;
        var (samples, why) = await inquiry.AskAsync(job.Spec, request.Epoch, count, context.CancellationToken);
        return samples is null
            ? throw new RpcException(new Status(StatusCode.FailedPrecondition, why))
            : new SampleJobResponse { Samples = samples };
    }
}
