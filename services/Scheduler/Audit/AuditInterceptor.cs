using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.Scheduler.Audit;

/// <summary>
/// Notes who did what, and who was refused: around all else, so that it sees how a call ended. What is only looked at is noted where it is
/// refused, for who asks or for what was asked, and weights that are taken away.
/// </summary>
internal sealed class AuditInterceptor(AuditLog log, TokenRegister tokens, TimeProvider time) : Interceptor
{
    private static readonly HashSet<string> AlsoNoted = new(StringComparer.Ordinal)
    {
        "/cluster.v1.CheckpointService/DownloadFile", "/cluster.v1.AgentRegistryService/Register",
    };

    public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
        NoteAsync(context, request as IMessage, () => continuation(request, context));

    public override Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        NoteAsync(context, request: null, () => continuation(requestStream, context));

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        NoteAsync<object?>(context, request as IMessage, async () =>
        {
            await continuation(request, responseStream, context);
            return null;
        });

    public override Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation) =>
        NoteAsync<object?>(context, request: null, async () =>
        {
            await continuation(requestStream, responseStream, context);
            return null;
        });

    private async Task<T> NoteAsync<T>(ServerCallContext context, IMessage? request, Func<Task<T>> call)
    {
        try
        {
            var response = await call();
            if (IsNoted(context.Method))
                await AddAsync(context, AuditObject.Of(request, response as IMessage), Status.DefaultSuccess);
            return response;
        }
        catch (RpcException fault)
        {
            if (IsNoted(context.Method) || IsRefusal(context, fault.StatusCode))
                await AddAsync(context, AuditObject.Of(request, response: null), fault.Status);
            throw;
        }
    }

    // What agents and trainers send in a wrong form is a fault of theirs, and would be noted at each try.
    private static bool IsRefusal(ServerCallContext context, StatusCode status) =>
        status is StatusCode.Unauthenticated or StatusCode.PermissionDenied
        || (status == StatusCode.InvalidArgument && Caller.TryOf(context) is { Scope: not Scope.Node });

    private static bool IsNoted(string method) => AlsoNoted.Contains(method)
        || RequiredScope.ByPath.GetValueOrDefault(method) is Scope.Submitter or Scope.Operator or Scope.Admin or Scope.Enrollment;

    private ValueTask AddAsync(ServerCallContext context, string what, Status status)
    {
        var caller = Caller.TryOf(context);
        if (caller is { Scope: not Scope.Node } && status.StatusCode != StatusCode.Unauthenticated)
            return log.AddAsync(Row(leftOut: 0), context.CancellationToken);
        log.AddIfRoom(Row);
        return ValueTask.CompletedTask;

        AuditRow Row(int leftOut) => new()
        {
            Time = time.GetUtcNow(),
            Who = caller?.Owner ?? "",
            Token = caller?.TokenName ?? "",
            Origin = $"{context.GetHttpContext().Connection.RemoteIpAddress}",
            Action = context.Method[(context.Method.LastIndexOf('.') + 1)..],
            // Those of the token files have no form by which they were known.
            Object = tokens.IsToken(what) ? "…" : what,
            Status = $"{status.StatusCode}",
            // Other faults repeat what the caller sent.
            Detail = status.StatusCode is StatusCode.Unauthenticated or StatusCode.PermissionDenied ? AuditObject.Clean(status.Detail) : "",
            LeftOut = leftOut,
        };
    }
}
