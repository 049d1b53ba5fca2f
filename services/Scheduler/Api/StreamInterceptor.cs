using Cluster.Scheduler.Access;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.Scheduler.Api;

/// <summary>
/// Ends streams of callers whose token is revoked or expires, and of those from whom a workspace is closed with what the stream is about:
/// as they would be refused if they called anew. Whatever serves a stream has nothing to do for that but heed its context's token.
/// </summary>
internal sealed class StreamInterceptor(StreamSubjects subjects, TimeProvider time) : Interceptor
{
    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await using var watch = Watch(context, request as IMessage);
        if (watch is null)
            await continuation(request, responseStream, context);
        else
            await watch.RunAsync(() => continuation(request, Watched(responseStream, watch, context), Watched(context, watch)));
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await using var watch = Watch(context, request: null);
        if (watch is null)
            return await continuation(requestStream, context);
        TResponse? response = null;
        await watch.RunAsync(
            async () => response = await continuation(new WatchedUpload<TRequest>(requestStream, watch, context), Watched(context, watch)));
        return response!;
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await using var watch = Watch(context, request: null);
        if (watch is null)
            await continuation(requestStream, responseStream, context);
        else
        {
            await watch.RunAsync(() => continuation(
                new WatchedUpload<TRequest>(requestStream, watch, context), Watched(responseStream, watch, context),
                Watched(context, watch)));
        }
    }

    /// <returns>Null: the caller is none whose token can end.</returns>
    private StreamWatch? Watch(ServerCallContext context, IMessage? request)
    {
        if (CallerStanding.TryOf(context) is not { } standing)
            return null;
        var subject = request is null ? null : subjects.Of(request, context);
        return new StreamWatch(
            context.CancellationToken,
            async token => standing.Refusal() ?? (subject is null ? null : await subject.FindRefusalAsync(token)),
            context.GetHttpContext().Abort, time);
    }

    private static ServerCallContext Watched(ServerCallContext context, StreamWatch watch) => new WatchedContext(context, watch.Token);

    private static ChangedStream<T> Watched<T>(IServerStreamWriter<T> stream, StreamWatch watch, ServerCallContext context) =>
        // By the call's own token: gRPC takes one that is cancelled during a write for the end of the call.
        new(stream, async message =>
        {
            await watch.CheckAsync();
            return message;
        })
        { Token = context.CancellationToken };
}

/// <summary>What a caller sends, for as long as it may.</summary>
internal sealed class WatchedUpload<T>(IAsyncStreamReader<T> inner, StreamWatch watch, ServerCallContext context) : IAsyncStreamReader<T>
{
    public T Current => inner.Current;

    /// <exception cref="OperationCanceledException">The caller has gone, or is to be refused.</exception>
    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        await watch.CheckAsync();
        // Not by the watch's token, which would break off the call and not only the wait.
        return await inner.MoveNext(context.CancellationToken).WaitAsync(cancellationToken);
    }
}

/// <summary>A call as it was, but for the token that ends it.</summary>
internal sealed class WatchedContext : ServerCallContext
{
    // Where gRPC looks for it in contexts that are not its own.
    private const string HttpContextKey = "__HttpContext";

    private readonly ServerCallContext _inner;
    private readonly CancellationToken _token;

    public WatchedContext(ServerCallContext inner, CancellationToken token)
    {
        (_inner, _token) = (inner, token);
        inner.UserState[HttpContextKey] = inner.GetHttpContext();
    }

    protected override CancellationToken CancellationTokenCore => _token;

    protected override string MethodCore => _inner.Method;

    protected override string HostCore => _inner.Host;

    protected override string PeerCore => _inner.Peer;

    protected override DateTime DeadlineCore => _inner.Deadline;

    protected override Metadata RequestHeadersCore => _inner.RequestHeaders;

    protected override Metadata ResponseTrailersCore => _inner.ResponseTrailers;

    protected override AuthContext AuthContextCore => _inner.AuthContext;

    protected override IDictionary<object, object> UserStateCore => _inner.UserState;

    protected override Status StatusCore
    {
        get => _inner.Status;
        set => _inner.Status = value;
    }

    protected override WriteOptions? WriteOptionsCore
    {
        get => _inner.WriteOptions;
        set => _inner.WriteOptions = value;
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) =>
        _inner.CreatePropagationToken(options);

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => _inner.WriteResponseHeadersAsync(responseHeaders);
}
