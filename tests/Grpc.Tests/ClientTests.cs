using Cluster.Grpc.Tests.Protos;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Grpc.Tests;

public sealed class PolyfillServerTests(PolyfillEchoServer server) : ClientTests(server), IClassFixture<PolyfillEchoServer>;

public sealed class NodeServerTests(NodeEchoServer server) : ClientTests(server), IClassFixture<NodeEchoServer>;

public sealed class PythonServerTests(PythonEchoServer server) : ClientTests(server), IClassFixture<PythonEchoServer>;

/// <summary>The polyfill's client against any server.</summary>
public abstract class ClientTests : IDisposable
{
    private readonly IEchoServer server;
    private readonly GrpcChannel channel;
    private readonly Echo.EchoClient client;

    protected ClientTests(IEchoServer server)
    {
        this.server = server;
        channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { MaxReceiveMessageSize = null });
        client = new Echo.EchoClient(channel);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        channel.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Unary_RepliesWithStatusOk()
    {
        using var call = client.UnaryAsync(new EchoRequest { Text = "hello" }, cancellationToken: Cancellation);
        (await call).Text.ShouldBe("hello");
        call.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
        (await call.ResponseHeadersAsync).ShouldNotBeNull();
    }

    [Fact]
    public void BlockingUnary_Replies() => client.Unary(new EchoRequest { Text = "hello" }, cancellationToken: Cancellation).Text.ShouldBe("hello");

    [Fact]
    public async Task ClientStreaming_CollectsEveryMessageInOrder()
    {
        using var call = client.Collect(cancellationToken: Cancellation);
        for (var i = 0; i < 100; i++)
            await call.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" }, Cancellation);
        await call.RequestStream.CompleteAsync();
        var reply = await call;
        reply.Count.ShouldBe(100);
        reply.Text.ShouldBe(string.Join(' ', Enumerable.Range(0, 100)));
        await Should.ThrowAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new EchoRequest()));
    }

    [Fact]
    public async Task ServerStreaming_ReadsToTheEnd()
    {
        using var call = client.Expand(new EchoRequest { Text = "n", Count = 1000 }, cancellationToken: Cancellation);
        var texts = await call.ResponseStream.ReadAllAsync(Cancellation).Select(reply => reply.Text).ToListAsync(Cancellation);
        texts.ShouldBe(Enumerable.Range(0, 1000).Select(i => $"n{i}"));
        call.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task DuplexStreaming_AnswersEachMessageBeforeTheNextIsSent()
    {
        using var call = client.Chat(cancellationToken: Cancellation);
        for (var i = 0; i < 50; i++)
        {
            await call.RequestStream.WriteAsync(new EchoRequest { Text = $"{i}" }, Cancellation);
            (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
            call.ResponseStream.Current.Text.ShouldBe($"{i}");
        }
        await call.RequestStream.CompleteAsync();
        (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeFalse();
    }

    [Fact]
    public async Task LargeMessage_TravelsBothWays()
    {
        var payload = UnsafeByteOperations.UnsafeWrap(LargePayload());
        var reply = await client.UnaryAsync(new EchoRequest { Payload = payload }, cancellationToken: Cancellation);
        reply.Payload.Span.SequenceEqual(payload.Span).ShouldBeTrue();
    }

    [Fact]
    public async Task Deadline_EndsTheCallOnBothSides()
    {
        await client.UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);  // connected, so that the next call reaches its handler in time
        var failure = await Should.ThrowAsync<RpcException>(client.UnaryAsync(
            new EchoRequest { Behaviour = Behaviour.Wait }, deadline: DateTime.UtcNow.AddSeconds(1), cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
        await server.HandlerWaitsAsync(Cancellation);
        if (server is not NodeEchoServer)  // grpc-js answers at the deadline without telling its handler
            await server.HandlerWasCancelledAsync(Cancellation);
    }

    [Fact]
    public async Task Deadline_InThePast_FailsAtOnce()
    {
        var failure = await Should.ThrowAsync<RpcException>(client.UnaryAsync(
            new EchoRequest(), deadline: DateTime.UtcNow.AddSeconds(-1), cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
    }

    [Fact]
    public async Task Dispose_CancelsTheCallOnTheServer()
    {
        var call = client.Expand(new EchoRequest { Count = 1, Behaviour = Behaviour.Wait }, cancellationToken: Cancellation);
        (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        await server.HandlerWaitsAsync(Cancellation);
        call.Dispose();
        await server.HandlerWasCancelledAsync(Cancellation);
        call.GetStatus().StatusCode.ShouldBe(StatusCode.Cancelled);
    }

    [Fact]
    public async Task CancellationToken_CancelsTheCallOnBothSides()
    {
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        using var call = client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Wait }, cancellationToken: source.Token);
        await server.HandlerWaitsAsync(Cancellation);
        await source.CancelAsync();
        (await Should.ThrowAsync<RpcException>(call.ResponseAsync)).StatusCode.ShouldBe(StatusCode.Cancelled);
        await server.HandlerWasCancelledAsync(Cancellation);
    }

    [Fact]
    public async Task Failure_KeepsMessageAndTrailers()
    {
        var failure = await Should.ThrowAsync<RpcException>(
            client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Fail }, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.NotFound);
        failure.Status.Detail.ShouldBe(EchoService.UnusualMessage);
        failure.Trailers.GetValue("x-reason").ShouldBe("asked to");
    }

    [Fact]
    public async Task Failure_AfterMessages_EndsTheStreamWithIt()
    {
        using var call = client.Expand(new EchoRequest { Count = 2, Behaviour = Behaviour.Fail }, cancellationToken: Cancellation);
        (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        var failure = await Should.ThrowAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancellation));
        failure.StatusCode.ShouldBe(StatusCode.NotFound);
        call.GetTrailers().GetValue("x-reason").ShouldBe("asked to");
    }

    [Fact]
    public async Task Exception_OfTheHandler_TellsNothing()
    {
        var failure = await Should.ThrowAsync<RpcException>(
            client.UnaryAsync(new EchoRequest { Behaviour = Behaviour.Throw }, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.Unknown);
        failure.Status.Detail.ShouldBe("Exception was thrown by handler.");
    }

    [Fact]
    public async Task Metadata_TravelsBothWays()
    {
        var headers = new Metadata { { "X-Text", "plain" }, { "x-bytes-bin", [0, 255, 1] } };
        using var call = client.UnaryAsync(new EchoRequest(), headers, cancellationToken: Cancellation);
        var initial = await call.ResponseHeadersAsync;
        await call;
        initial.GetValue("x-initial").ShouldBe("plain");
        initial.GetValueBytes("x-initial-bin").ShouldBe([0, 255, 1]);
        call.GetTrailers().GetValue("x-trailing").ShouldBe("plain");
        call.GetTrailers().GetValueBytes("x-trailing-bin").ShouldBe([0, 255, 1]);
    }

    [Fact]
    public async Task Gzip_TravelsBothWays()
    {
        var headers = new Metadata { { "grpc-internal-encoding-request", "gzip" } };
        var reply = await client.UnaryAsync(new EchoRequest { Text = new string('a', 10_000) }, headers, cancellationToken: Cancellation);
        reply.Text.Length.ShouldBe(10_000);

        var zipped = await new Zip.ZipClient(channel).UnaryAsync(new EchoRequest { Text = new string('b', 10_000) }, cancellationToken: Cancellation);
        zipped.Text.ShouldBe(new string('b', 10_000));
    }

    internal static byte[] LargePayload()
    {
        var payload = new byte[EchoServer.LargeMessage];
        new Random(7).NextBytes(payload.AsSpan(0, 1024 * 1024));
        payload[^1] = 42;
        return payload;
    }
}
