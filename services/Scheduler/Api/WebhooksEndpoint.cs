using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Webhooks;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Api;

/// <summary>
/// Webhooks over gRPC. Whose a webhook is, only that owner and operators hear and change; a token that is limited to workspaces, those of
/// these workspaces.
/// </summary>
internal sealed class WebhooksEndpoint(WebhookStore store, WebhookSender sender, IOptions<WebhookOptions> options, TimeProvider time)
    : WebhookService.WebhookServiceBase
{
    private const int LongestUrl = 2000;

    private static readonly JobState[] Ends = [JobState.Succeeded, JobState.Failed, JobState.Cancelled];

    public override async Task<CreateWebhookResponse> CreateWebhook(CreateWebhookRequest request, ServerCallContext context)
    {
        var caller = Caller.Of(context);
        var webhook = Check(request.Webhook, caller);
        var secret = WebhookSignature.NewSecret();
        switch (await store.CreateAsync(webhook, secret, options.Value.MostWebhooks, context.CancellationToken))
        {
            case WebhookCreation.NameIsTaken:
                throw Refused(StatusCode.AlreadyExists, $"there is a webhook '{webhook.Name}' already; choose another name");
            case WebhookCreation.TooMany:
                throw Refused(
                    StatusCode.ResourceExhausted,
                    $"there are as many webhooks already as there may be, {options.Value.MostWebhooks} ({WebhookOptions.SectionName}:"
                        + $"{nameof(WebhookOptions.MostWebhooks)}); delete one that is not needed");
            default:
                return new CreateWebhookResponse { Webhook = webhook, Secret = secret };
        }
    }

    public override async Task<ListWebhooksResponse> ListWebhooks(ListWebhooksRequest request, ServerCallContext context)
    {
        var size = JobsEndpoint.PageSize(request.PageSize);
        var page = await JobsEndpoint.ListAsync(
            () => store.ListAsync(ReachOf(context), size, request.PageToken, context.CancellationToken));
        return new ListWebhooksResponse { Webhooks = { page.Entries }, NextPageToken = page.NextPageToken };
    }

    public override async Task<DeleteWebhookResponse> DeleteWebhook(DeleteWebhookRequest request, ServerCallContext context)
    {
        CheckName(request.Name);
        return await store.DeleteAsync(request.Name, ReachOf(context), context.CancellationToken)
            ? new DeleteWebhookResponse()
            : throw NotFound(request.Name);
    }

    public override async Task<TestWebhookResponse> TestWebhook(TestWebhookRequest request, ServerCallContext context)
    {
        CheckName(request.Name);
        var (url, secret) = await store.FindAsync(request.Name, ReachOf(context), context.CancellationToken)
            ?? throw NotFound(request.Name);
        var test = new WebhookEvent
        {
            Id = $"{Guid.NewGuid()}",
            Webhook = request.Name,
            IsTest = true,
            JobId = $"{Guid.Empty}",
            JobName = "test",
            Workspace = "default",
            Owner = Caller.Of(context).Owner,
            Sequence = 1,
            Time = Timestamp.FromDateTimeOffset(time.GetUtcNow()),
            From = JobState.Running,
            To = JobState.Succeeded,
            Reason = "a test of the webhook",
            Attempt = 1,
        };
        var fault = await sender.SendAsync(url, secret, test, context.CancellationToken);
        return new TestWebhookResponse { Delivered = fault is null, Fault = fault ?? "" };
    }

    private Webhook Check(Webhook? asked, Caller caller)
    {
        if (asked is null)
            throw new InvalidRequestException("webhook is unset; say what the webhook is to be");
        CheckName(asked.Name);
        if (asked.AllOwners && caller.Scope is not (Scope.Operator or Scope.Admin))
        {
            throw Refused(
                StatusCode.PermissionDenied, "all_owners is true, which needs the scope operator; leave it out for your own jobs");
        }

        if (asked.Workspace.Length > 0 && !Names.IsValid(asked.Workspace))
            throw new InvalidRequestException($"workspace is '{asked.Workspace}' but must be {Names.Range}; leave it out for any");
        if (!caller.MayEnter(asked.Workspace))
        {
            throw Refused(
                StatusCode.PermissionDenied,
                $"workspace is '{asked.Workspace}', but the token is only for {string.Join(", ", caller.Workspaces!)}; give one of these");
        }

        var unknown = asked.States.Where(state => state == JobState.Unspecified || !System.Enum.IsDefined(state)).ToList();
        if (unknown.Count > 0)
            throw new InvalidRequestException($"states has {unknown[0]}, which no job becomes; give states such as JOB_STATE_FAILED");

        return new Webhook
        {
            Name = asked.Name,
            Owner = caller.Owner,
            Url = CheckUrl(asked.Url),
            States = { asked.States.Count == 0 ? Ends : asked.States.Distinct() },
            Workspace = asked.Workspace,
            AllOwners = asked.AllOwners,
            CreatedAt = Timestamp.FromDateTimeOffset(time.GetUtcNow()),
        };
    }

    private static string CheckUrl(string url)
    {
        RequestText.Check("url", url, LongestUrl);
        return Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" && address.UserInfo.Length == 0
            ? url
            : throw new InvalidRequestException(
                "url must be an http or https address without a user; write it as https://example.com/hooks/cluster");
    }

    private static void CheckName(string name)
    {
        if (!Names.IsValid(name))
            throw new InvalidRequestException($"name is '{name}' but must be {Names.Range}; use a name such as chat");
    }

    private static WebhookReach ReachOf(ServerCallContext context)
    {
        var caller = Caller.Of(context);
        return new WebhookReach(caller.Scope is Scope.Operator or Scope.Admin ? null : caller.Owner, caller.Workspaces);
    }

    private static RpcException NotFound(string name) =>
        Refused(StatusCode.NotFound, $"you have no webhook '{name}'; ./cluster webhook list shows those that there are");

    private static RpcException Refused(StatusCode code, string detail) => new(new Status(code, detail));
}
