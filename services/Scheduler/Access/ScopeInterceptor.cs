using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.Scheduler.Access;

/// <summary>
/// Lets a call through only with a token of the scope that its RPC declares; a node's only in its own name, and a trainer's only with the
/// secret of the job's current attempt. Whoever serves a call finds its caller known.
/// </summary>
public sealed class ScopeInterceptor(
    TokenRegister tokens, IdentityProvider provider, AttemptAdmission attempts, RefusalLog refusals, TimeProvider time) : Interceptor
{
    /// <summary>What anyone may call: they say that the server lives and what it offers, and nothing of what it holds.</summary>
    public static readonly IReadOnlySet<string> OpenServices = new HashSet<string>
    {
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
    };

    /// <summary>The field by which each request of an agent says for which node it speaks.</summary>
    public const string NodeField = "node_id";

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context, request as IMessage);
        return await continuation(request, context);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context, request: null);
        return await continuation(requestStream, context);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context, request as IMessage);
        await continuation(request, responseStream, context);
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await AdmitAsync(context, request: null);
        await continuation(requestStream, responseStream, context);
    }

    private async Task AdmitAsync(ServerCallContext context, IMessage? request)
    {
        try
        {
            await CheckAsync(context, request);
        }
        catch (RpcException refusal)
        {
            refusals.Refused(context.Method, context.Peer, refusal.Status.Detail);
            throw;
        }
    }

    private async Task CheckAsync(ServerCallContext context, IMessage? request)
    {
        if (OpenServices.Contains(context.Method.Split('/')[1]))
            return;
        // A method that is mapped and declares no scope is a bug here, so it stays shut.
        if (!RequiredScope.ByPath.TryGetValue(context.Method, out var needed))
            throw new RpcException(new Status(StatusCode.PermissionDenied, $"{context.Method} declares no scope"));

        var token = TokenOf(context) ?? throw Unauthenticated("no token; send the metadata 'authorization: Bearer <token>'");
        switch (needed)
        {
            case Scope.Attempt:
                context.UserState[typeof(AttemptCredential)] = await attempts.AdmitAsync(
                    context.GetHttpContext().Request.Headers, token, context.CancellationToken);
                return;
            case Scope.Enrollment:
                context.UserState[typeof(EnrollmentCode)] = AccessSecret.IsWellFormed(AccessSecret.Enrollment, token)
                    ? new EnrollmentCode(AccessSecret.Hash(token))
                    : throw Unauthenticated("the token is no code of ./cluster node enroll");
                return;
            default:
                await RecogniseAsync(context, token, needed, request);
                return;
        }
    }

    private async Task RecogniseAsync(ServerCallContext context, string token, Scope needed, IMessage? request)
    {
        if (provider.MayHaveIssued(token))
        {
            var (signedIn, why) = await provider.FindAsync(token);
            context.UserState[typeof(Caller)] = signedIn ?? throw Unauthenticated(why);
            CheckScope(signedIn, needed);
            context.UserState[typeof(CallerStanding)] = StandingOf(signedIn, time);
            return;
        }

        var finding = await tokens.FindAsync(token, context.CancellationToken);
        // Known before it is refused: the audit says whose token it was.
        if (finding.Caller is { } known)
            context.UserState[typeof(Caller)] = known;
        if (RefusalOf(finding) is { } refusal)
            throw refusal;
        CheckScope(finding.Caller!, needed);
        if (needed == Scope.Node)
            CheckNode(finding.Caller!, request);
        var hash = AccessSecret.Hash(token);
        context.UserState[typeof(CallerStanding)] = new CallerStanding(() => RefusalOf(tokens.Find(hash)));
    }

    /// <summary>A provider's token ends by itself alone: whom the provider has locked out is let in until then.</summary>
    internal static CallerStanding StandingOf(Caller signedIn, TimeProvider time) => new(() => signedIn.EndsAt <= time.GetUtcNow()
        ? Unauthenticated($"the token of {signedIn.Owner} is over; sign in again, and call with the new one")
        : null);

    // Not from RequestHeaders, which takes all metadata apart and fails at what is not for us to read.
    private static string? TokenOf(ServerCallContext context) =>
        CallMetadata.TokenOf(context.GetHttpContext().Request.Headers[CallMetadata.Authorization]);

    private static RpcException? RefusalOf(TokenFinding finding) => finding switch
    {
        { Standing: TokenStanding.Valid, Caller: not null } => null,
        { Standing: TokenStanding.Expired, Caller: { } caller } =>
            Unauthenticated($"the token '{caller.TokenName}' of {caller.Owner} has expired; ask for another one"),
        { Standing: TokenStanding.Revoked, Caller: { } caller } =>
            Unauthenticated($"the token '{caller.TokenName}' of {caller.Owner} is revoked; ask for another one"),
        _ => Unauthenticated("the token is not known here; check CLUSTER_TOKEN and CLUSTER_TOKEN_FILE"),
    };

    private static void CheckScope(Caller caller, Scope needed)
    {
        if (!caller.Scope.Allows(needed))
            throw Denied($"this needs the scope {Word(needed)}; the token has {Word(caller.Scope)}");
        // What these scopes are for concerns nodes, queues and identities, which lie in no workspace.
        if (caller.Workspaces is not null && needed is Scope.Operator or Scope.Admin)
            throw Denied("the token is limited to workspaces, and this is about the whole cluster; use one that is not limited");
    }

    /// <summary>A node speaks for itself. The token that nodes share speaks for those that have none of their own.</summary>
    private void CheckNode(Caller caller, IMessage? request)
    {
        if (request?.Descriptor.FindFieldByName(NodeField)?.Accessor.GetValue(request) is not string text)
            throw Denied($"the request has no field {NodeField} that says for which node it speaks");
        NodeId? node = NodeId.TryParse(text, out var named) ? named : null;
        if (caller.Node is { } own && node != own)
            throw Denied($"the token of node {own} does not speak for node '{text}'");
        if (caller.Node is null && node is { } other && tokens.IsEnrolled(other))
            throw Denied($"node {other} has a token of its own, and the one that nodes share does not speak for it");
    }

    private static RpcException Unauthenticated(string why) => new(new Status(StatusCode.Unauthenticated, why));

    private static RpcException Denied(string why) => new(new Status(StatusCode.PermissionDenied, why));

    private static string Word(Scope scope) => scope.ToString().ToLowerInvariant();
}

/// <summary>A code that may be one of those that were given out.</summary>
/// <param name="Hash">SHA-256 of its text.</param>
public sealed record EnrollmentCode(byte[] Hash)
{
    /// <summary>That of the call.</summary>
    public static EnrollmentCode Of(ServerCallContext context) => (EnrollmentCode)context.UserState[typeof(EnrollmentCode)];
}
