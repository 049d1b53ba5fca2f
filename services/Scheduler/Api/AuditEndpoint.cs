using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Audit;
using Grpc.Core;

namespace Cluster.Scheduler.Api;

/// <summary>The audit over gRPC.</summary>
internal sealed class AuditEndpoint(AuditStore store, AuditLog log, TimeProvider time) : AuditService.AuditServiceBase
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

    public override Task<NoteForgeryResponse> NoteForgery(NoteForgeryRequest request, ServerCallContext context)
    {
        foreach (var (field, value) in new[]
        {
            ("request", request.Request), ("origin", request.Origin), ("visitor", request.Visitor),
        })
            RequestText.Check(field, value, longest: 1000);
        var visitor = Caller.Of(context);
        // As of strangers: whoever has written the page decides how often.
        log.AddIfRoom(leftOut => new AuditRow
        {
            Time = time.GetUtcNow(),
            Who = visitor.Owner,
            Token = visitor.TokenName,
            Origin = $"{context.GetHttpContext().Connection.RemoteIpAddress}",
            Action = "Dashboard/Forgery",
            Object = AuditObject.Clean(request.Request),
            Status = $"{StatusCode.PermissionDenied}",
            Detail = AuditObject.Clean($"a page of {request.Origin} asked for it, in the browser of {request.Visitor}"),
            LeftOut = leftOut,
        });
        return Task.FromResult(new NoteForgeryResponse());
    }
}
