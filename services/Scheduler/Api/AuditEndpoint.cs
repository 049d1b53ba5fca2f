using Cluster.Contracts.V1;
using Cluster.Scheduler.Audit;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>The audit over gRPC.</summary>
internal sealed class AuditEndpoint(AuditStore store) : AuditService.AuditServiceBase
{
    public override async Task<ListAuditResponse> ListAudit(ListAuditRequest request, ServerCallContext context)
    {
        foreach (var (field, value) in new[]
        {
            ("who", request.Who), ("action", request.Action), ("object", request.Object), ("status", request.Status),
        })
            RequestText.Check(field, value, longest: 1000);
        RequestTime.Check("since", request.Since);
        RequestTime.Check("until", request.Until);
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(() => store.ListAsync(request, size, context.CancellationToken));
        return new ListAuditResponse { Entries = { page.Entries }, NextPageToken = page.NextPageToken };
    }
}
