using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.Scheduler.Access;

/// <summary>Lets a call through only with a token of the scope that its RPC declares.</summary>
public sealed class ScopeInterceptor(TokenRegister tokens, RefusalLog refusals) : Interceptor
{
    /// <summary>What anyone may call: they say that the server lives and what it offers, and nothing of what it holds.</summary>
    public static readonly IReadOnlySet<string> OpenServices = new HashSet<string>
    {
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
    };

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        return await continuation(request, context);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        return await continuation(requestStream, context);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        await continuation(request, responseStream, context);
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context);
        await continuation(requestStream, responseStream, context);
    }

    private async Task AdmitAsync(ServerCallContext context)
    {
        try
        {
            await CheckAsync(context);
        }
        catch (RpcException refusal)
        {
            refusals.Refused(context.Method, context.Peer, refusal.Status.Detail);
            throw;
        }
    }

    private async Task CheckAsync(ServerCallContext context)
    {
        if (OpenServices.Contains(context.Method.Split('/')[1]))
            return;
        // A method that is mapped and declares no scope is a bug here, so it stays shut.
        if (!RequiredScope.ByPath.TryGetValue(context.Method, out var needed))
            throw new RpcException(new Status(StatusCode.PermissionDenied, $"{context.Method} declares no scope"));

        // Not from RequestHeaders, which takes all metadata apart and fails at what is not for us to read.
        var headers = context.GetHttpContext().Request.Headers;
        var token = CallMetadata.TokenOf(headers[CallMetadata.Authorization])
            ?? throw new RpcException(
                new Status(StatusCode.Unauthenticated, "no token; send the metadata 'authorization: Bearer <token>'"));
        if (needed == Scope.Attempt)
        {
            context.UserState[typeof(AttemptCaller)] = ReadAttempt(headers, token);
            return;
        }

        var caller = await tokens.FindAsync(token, context.CancellationToken)
            ?? throw new RpcException(
                new Status(StatusCode.Unauthenticated, "the token is not known here; check CLUSTER_TOKEN and CLUSTER_TOKEN_FILE"));
        if (!caller.Scope.Allows(needed))
            throw new RpcException(
                new Status(StatusCode.PermissionDenied, $"this needs the scope {Word(needed)}; the token has {Word(caller.Scope)}"));
        context.UserState[typeof(Caller)] = caller;
    }

    private static AttemptCaller ReadAttempt(IHeaderDictionary headers, string secret) =>
        JobId.TryParse(headers[CallMetadata.Job], out var job)
        && int.TryParse(headers[CallMetadata.Attempt], out var attempt)
        && int.TryParse(headers[CallMetadata.Rank], out var rank)
            ? new AttemptCaller(job, attempt, rank, secret)
            : throw new RpcException(new Status(
                StatusCode.Unauthenticated,
                $"a trainer's call carries the metadata {CallMetadata.Job}, {CallMetadata.Attempt} and {CallMetadata.Rank}"));

    private static string Word(Scope scope) => scope.ToString().ToLowerInvariant();
}
