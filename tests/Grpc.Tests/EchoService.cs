using Cluster.Grpc.Tests.Protos;
using Grpc.Core;

namespace Cluster.Grpc.Tests;

/// <summary>What the strangers' servers do too, so that the same tests hold for all.</summary>
internal sealed class EchoService(EchoRecord record) : Echo.EchoBase
{
    public const string UnusualMessage = "naïve – 失敗 100% \"why\"\nsecond line";

    public override async Task<EchoReply> Unary(EchoRequest request, ServerCallContext context)
    {
        await RespondAsync(request, context);
        return Reply(request, context);
    }

    public override async Task<EchoReply> Collect(IAsyncStreamReader<EchoRequest> requestStream, ServerCallContext context)
    {
        var texts = new List<string>();
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            await RespondAsync(request, context);
            texts.Add(request.Text);
        }
        return new EchoReply { Text = string.Join(' ', texts), Count = texts.Count };
    }

    public override async Task Expand(EchoRequest request, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        for (var i = 0; i < request.Count; i++)
            await responseStream.WriteAsync(new EchoReply { Text = $"{request.Text}{i}", Payload = request.Payload });
        await RespondAsync(request, context);
    }

    public override async Task Chat(IAsyncStreamReader<EchoRequest> requestStream, IServerStreamWriter<EchoReply> responseStream, ServerCallContext context)
    {
        await foreach (var request in requestStream.ReadAllAsync(context.CancellationToken))
        {
            await responseStream.WriteAsync(Reply(request, context));
            await RespondAsync(request, context);
        }
    }

    private static EchoReply Reply(EchoRequest request, ServerCallContext context) => new()
    {
        Text = request.Text,
        Payload = request.Payload,
        Count = request.Payload.Length,
        RequestEncoding = context.GetHttpContext().Request.Headers["grpc-encoding"].ToString(),
    };

    private async Task RespondAsync(EchoRequest request, ServerCallContext context)
    {
        record.Seen(context);
        if (context.RequestHeaders.GetValue("x-text") is { } text)
        {
            await context.WriteResponseHeadersAsync(new Metadata { { "x-initial", text }, { "x-initial-bin", context.RequestHeaders.GetValueBytes("x-bytes-bin")! } });
            context.ResponseTrailers.Add("x-trailing", text);
            context.ResponseTrailers.Add("x-trailing-bin", context.RequestHeaders.GetValueBytes("x-bytes-bin")!);
        }
        switch (request.Behaviour)
        {
            case Behaviour.Fail:
                throw new RpcException(new Status(StatusCode.NotFound, UnusualMessage), new Metadata { { "x-reason", "asked to" } });
            case Behaviour.Throw:
                throw new InvalidOperationException("a secret of the server");
            case Behaviour.Wait:
                await record.WaitForCancellationAsync(context);
                break;
            case Behaviour.Hang:
                await record.LetGo.Task;
                break;
        }
    }
}

internal sealed class ZipService : Zip.ZipBase
{
    public override Task<EchoReply> Unary(EchoRequest request, ServerCallContext context) =>
        Task.FromResult(new EchoReply { Text = request.Text, Payload = request.Payload });
}

/// <summary>What the server saw, for tests to wait on.</summary>
internal sealed class EchoRecord
{
    private readonly SemaphoreSlim waiting = new(0);
    private readonly SemaphoreSlim cancelled = new(0);

    public TaskCompletionSource LetGo { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public CallSeen? LastCall { get; private set; }

    public void Seen(ServerCallContext context) => LastCall = new CallSeen(
        context.Method, context.Host, context.Peer, context.Deadline, context.RequestHeaders, context.AuthContext);

    public async Task WaitForCancellationAsync(ServerCallContext context)
    {
        waiting.Release();
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.CancellationToken.Register(() => end.SetResult());
        await end.Task;
        cancelled.Release();
        context.CancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>A handler has begun to wait.</summary>
    public Task HandlerWaitsAsync(CancellationToken cancellationToken) => waiting.WaitAsync(cancellationToken);

    /// <summary>A handler that waited has seen its cancellation.</summary>
    public Task HandlerWasCancelledAsync(CancellationToken cancellationToken) => cancelled.WaitAsync(cancellationToken);
}

/// <summary>A call's context, copied while the call lasts.</summary>
internal sealed record CallSeen(string Method, string Host, string Peer, DateTime Deadline, Metadata RequestHeaders, AuthContext AuthContext);
