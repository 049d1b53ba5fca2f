using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace Cluster.Scheduler.Api;

/// <summary>Lets no answer and no refusal name a job that the caller does not see: see <see cref="JobMentions"/>.</summary>
internal sealed class HiddenJobInterceptor(JobMentions mentions, WorkspaceRule workspaces) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
        await HideAsync(await OrRefusalAsync(() => continuation(request, context), context), context);

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation) =>
        await HideAsync(await OrRefusalAsync(() => continuation(requestStream, context), context), context);

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        OrRefusalAsync<object?>(async () =>
        {
            await continuation(
                request, new ChangedStream<TResponse>(responseStream, message => HideAsync(message, context)), context);
            return null;
        }, context);

    private async Task<T> OrRefusalAsync<T>(Func<Task<T>> call, ServerCallContext context)
    {
        try
        {
            return await call();
        }
        // Who is told that something is not there hears what it asked for itself.
        catch (RpcException refusal) when (refusal.StatusCode != StatusCode.NotFound && SeenBy(context) is { IsAll: false } seen)
        {
            var told = await mentions.HideAsync(refusal.Status.Detail, seen, context.CancellationToken);
            if (told == refusal.Status.Detail)
                throw;
            throw new RpcException(new Status(refusal.StatusCode, told), refusal.Trailers);
        }
    }

    private async Task<T> HideAsync<T>(T answer, ServerCallContext context) =>
        answer is IMessage message && SeenBy(context) is { IsAll: false } seen
            ? (T)await mentions.HideAsync(message, seen, context.CancellationToken)
            : answer;

    /// <returns>Null: the caller is nobody, or a machine, which is told what it has to do.</returns>
    private Visibility? SeenBy(ServerCallContext context) =>
        Caller.TryOf(context) is { Scope: not Scope.Node } ? workspaces.Seen(context) : null;
}

/// <summary>Answers that are changed, or held back by an exception, as they leave.</summary>
internal sealed class ChangedStream<T>(IServerStreamWriter<T> inner, Func<T, Task<T>> changeAsync) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    /// <summary>By which messages are sent, where it is not to be the one that they are written with.</summary>
    public CancellationToken? Token { get; init; }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken) =>
        await inner.WriteAsync(await changeAsync(message), Token ?? cancellationToken);
}
