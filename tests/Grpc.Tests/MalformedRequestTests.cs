using System.IO.Compression;
using System.Net;
using Cluster.Grpc.Tests.Protos;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Grpc.Tests;

/// <summary>Every broken request gets the right status, leaves no call behind, and the server lives on.</summary>
public sealed class MalformedRequestTests : IAsyncLifetime
{
    private const int Limit = 1024 * 1024;

    private EchoServer server = null!;

    public static TheoryData<string, byte[], StatusCode> Bodies => new()
    {
        { "nothing", [], StatusCode.Internal },
        { "unknown flag", [2, 0, 0, 0, 0], StatusCode.Internal },
        { "half a prefix", [0, 0, 0], StatusCode.Internal },
        { "half a message", [0, 0, 0, 0, 10, 1, 2], StatusCode.Internal },
        { "no protobuf", RawCalls.Frame([0xff, 0xff, 0xff, 0xff]), StatusCode.Internal },
        { "two messages", [.. RawCalls.Frame(new EchoRequest()), .. RawCalls.Frame(new EchoRequest())], StatusCode.Internal },
        { "compressed without encoding", RawCalls.Frame([1, 2], flag: 1), StatusCode.Internal },
        { "a claim of 4 GiB", [0, 0xff, 0xff, 0xff, 0xff], StatusCode.ResourceExhausted },
        { "over the limit", RawCalls.Frame(new EchoRequest { Payload = ByteString.CopyFrom(new byte[Limit]) }), StatusCode.ResourceExhausted },
    };

    public async ValueTask InitializeAsync() => server = await EchoServer.StartAsync(options => options.MaxReceiveMessageSize = Limit);

    public async ValueTask DisposeAsync()
    {
        await server.ActiveCalls.WhenNoneAsync().WaitAsync(TestContext.Current.CancellationToken);
        (await RawCalls.PostAsync(server.Address, RawCalls.Frame(new EchoRequest()))).StatusOf().ShouldBe(StatusCode.OK, "the server lives on");
        await server.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Body_ThatBreaksTheProtocol_IsRefused(string what, byte[] body, StatusCode status)
    {
        using var response = await RawCalls.PostAsync(server.Address, body);
        response.StatusCode.ShouldBe(HttpStatusCode.OK, what);
        response.StatusOf().ShouldBe(status, what);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    public async Task ContentType_ThatIsNotGrpc_IsUnsupportedMediaType(string? contentType)
    {
        using var response = await RawCalls.PostAsync(server.Address, [], contentType: contentType);
        response.StatusCode.ShouldBe(HttpStatusCode.UnsupportedMediaType);
    }

    [Theory]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc; charset=utf-8")]
    public async Task ContentType_WithSuffix_IsGrpc(string contentType)
    {
        using var content = new ByteArrayContent([]);
        using var response = await RawCalls.PostAsync(server.Address, RawCalls.Frame(new EchoRequest()), contentType: contentType.Split(';')[0]);
        response.StatusOf().ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task Encoding_ThatIsUnknown_IsUnimplementedAndNamesTheKnownOnes()
    {
        using var response = await RawCalls.PostAsync(server.Address, RawCalls.Frame([1], flag: 1), headers: ("grpc-encoding", "snappy"));
        response.StatusOf().ShouldBe(StatusCode.Unimplemented);
        response.Find("grpc-accept-encoding").ShouldBe("identity,gzip,deflate");
    }

    [Fact]
    public async Task CompressedMessage_ThatIsNotCompressed_IsRefused()
    {
        using var response = await RawCalls.PostAsync(server.Address, RawCalls.Frame([1, 2, 3], flag: 1), headers: ("grpc-encoding", "gzip"));
        response.StatusOf().ShouldBe(StatusCode.Internal);
    }

    [Fact]
    public async Task CompressedMessage_ThatGrowsOverTheLimit_IsRefused()
    {
        var message = new EchoRequest { Payload = ByteString.CopyFrom(new byte[64 * Limit]) }.ToByteArray();
        using var response = await RawCalls.PostAsync(server.Address, RawCalls.Frame(Gzip(message), flag: 1), headers: ("grpc-encoding", "gzip"));
        response.StatusOf().ShouldBe(StatusCode.ResourceExhausted);
    }

    [Fact]
    public async Task Answer_IsCompressedOnlyForAClientThatAcceptsIt()
    {
        const string path = "/polyfill.v1.Zip/Unary";
        var body = RawCalls.Frame(new EchoRequest { Text = new string('z', 5000) });
        using var compressed = await RawCalls.PostAsync(server.Address, body, path, headers: ("grpc-accept-encoding", "identity, gzip"));
        using var plain = await RawCalls.PostAsync(server.Address, body, path, headers: ("grpc-accept-encoding", "identity"));
        compressed.Find("grpc-encoding").ShouldBe("gzip");
        plain.Find("grpc-encoding").ShouldBeNull();
        (await compressed.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken))[0].ShouldBe((byte)1);
        (await compressed.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)).Length.ShouldBeLessThan(1000);
        (await plain.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken))[0].ShouldBe((byte)0);
    }

    [Theory]
    [InlineData("/polyfill.v1.Echo/Missing", "Method is unimplemented.")]
    [InlineData("/polyfill.v1.Missing/Unary", "Service is unimplemented.")]
    public async Task Path_ThatIsUnknown_IsUnimplemented(string path, string message)
    {
        using var response = await RawCalls.PostAsync(server.Address, [], path);
        response.StatusOf().ShouldBe(StatusCode.Unimplemented);
        response.Find("grpc-message").ShouldBe(message);
    }

    [Fact]
    public async Task BinaryHeader_ThatIsNotBase64_IsRefused()
    {
        using var response = await RawCalls.PostAsync(server.Address, RawCalls.Frame(new EchoRequest()), headers: ("x-bytes-bin", "!!!"));
        response.StatusOf().ShouldBe(StatusCode.Internal);
    }

    [Fact]
    public async Task Deadline_IsAnsweredAlthoughTheHandlerHangs()
    {
        using var response = await RawCalls.PostAsync(
            server.Address, RawCalls.Frame(new EchoRequest { Behaviour = Behaviour.Hang }), headers: ("grpc-timeout", "100m"));
        response.StatusOf().ShouldBe(StatusCode.DeadlineExceeded);
        server.ActiveCalls.Count.ShouldBe(1);
        server.Record.LetGo.SetResult();
    }

    [Fact]
    public async Task AbandonedConnection_CancelsItsStreams()
    {
        var channel = GrpcChannel.ForAddress(server.Address);
        var call = new Echo.EchoClient(channel).Chat(cancellationToken: TestContext.Current.CancellationToken);
        await call.RequestStream.WriteAsync(new EchoRequest { Behaviour = Behaviour.Wait }, TestContext.Current.CancellationToken);
        await server.Record.HandlerWaitsAsync(TestContext.Current.CancellationToken);
        channel.Dispose();
        await server.Record.HandlerWasCancelledAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task AbandonedStream_StopsAHandlerThatWritesForEver()
    {
        using var channel = GrpcChannel.ForAddress(server.Address);
        using (var call = new Echo.EchoClient(channel).Expand(new EchoRequest { Count = int.MaxValue }, cancellationToken: TestContext.Current.CancellationToken))
            (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        await server.ActiveCalls.WhenNoneAsync().WaitAsync(TestContext.Current.CancellationToken);
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Optimal))
            gzip.Write(bytes);
        return output.ToArray();
    }
}
