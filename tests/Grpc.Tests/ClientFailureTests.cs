using System.Net;
using System.Net.Sockets;
using Cluster.Grpc.Tests.Protos;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Cluster.Grpc.Tests;

/// <summary>What the client makes of servers that fail below gRPC, and of its own limits.</summary>
public sealed class ClientFailureTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(HttpStatusCode.BadRequest, StatusCode.Internal)]
    [InlineData(HttpStatusCode.Unauthorized, StatusCode.Unauthenticated)]
    [InlineData(HttpStatusCode.Forbidden, StatusCode.PermissionDenied)]
    [InlineData(HttpStatusCode.NotFound, StatusCode.Unimplemented)]
    [InlineData(HttpStatusCode.TooManyRequests, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.ServiceUnavailable, StatusCode.Unavailable)]
    [InlineData(HttpStatusCode.InternalServerError, StatusCode.Unknown)]
    [InlineData(HttpStatusCode.OK, StatusCode.Cancelled)]
    public Task HttpStatus_WithoutGrpcStatus_IsMapped(HttpStatusCode http, StatusCode expected) =>
        FailsWithAsync(expected, context => context.Response.StatusCode = (int)http);

    [Theory]
    [InlineData(0x1, StatusCode.Internal)]
    [InlineData(0x7, StatusCode.Unavailable)]
    [InlineData(0x8, StatusCode.Cancelled)]
    [InlineData(0xb, StatusCode.ResourceExhausted)]
    [InlineData(0xc, StatusCode.PermissionDenied)]
    public Task StreamReset_IsMapped(int errorCode, StatusCode expected) =>
        FailsWithAsync(expected, context => context.Features.GetRequiredFeature<IHttpResetFeature>().Reset(errorCode));

    [Fact]
    public Task Headers_WithOkButNoMessage_AreInternal() => FailsWithAsync(StatusCode.Internal, context =>
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers["grpc-status"] = "0";
    });

    [Fact]
    public Task Response_WithoutStatus_IsCancelled() => FailsWithAsync(StatusCode.Cancelled, context => context.Response.ContentType = "application/grpc");

    [Fact]
    public async Task NoServer_IsUnavailable()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));  // bound but not listening: refused, and nobody else can take the port
        using var channel = GrpcChannel.ForAddress($"http://{listener.LocalEndPoint}");
        var client = new Echo.EchoClient(channel);
        (await FailureAsync(client)).StatusCode.ShouldBe(StatusCode.Unavailable);

        using var call = client.Chat(cancellationToken: Cancellation);
        (await Should.ThrowAsync<RpcException>(() => call.RequestStream.WriteAsync(new EchoRequest(), Cancellation))).StatusCode.ShouldBe(StatusCode.Unavailable);
        (await Should.ThrowAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancellation))).StatusCode.ShouldBe(StatusCode.Unavailable);
    }

    [Fact]
    public async Task Answer_OverTheDefaultLimit_IsResourceExhausted()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        var request = new EchoRequest { Payload = ByteString.CopyFrom(new byte[4 * 1024 * 1024]) };
        (await FailureAsync(new Echo.EchoClient(channel), request)).StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        await server.ActiveCalls.WhenNoneAsync().WaitAsync(Cancellation);
    }

    [Fact]
    public async Task Request_OverTheClientsLimit_IsNotSent()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { MaxSendMessageSize = 100 });
        (await FailureAsync(new Echo.EchoClient(channel), new EchoRequest { Text = new string('a', 101) })).StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        server.Record.LastCall.ShouldBeNull();
    }

    [Fact]
    public async Task ServerThatEndsEarly_FailsTheWriterWithItsStatus()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        using var call = new Echo.EchoClient(channel).Collect(cancellationToken: Cancellation);
        await call.RequestStream.WriteAsync(new EchoRequest { Behaviour = Behaviour.Fail }, Cancellation);
        (await Should.ThrowAsync<RpcException>(() => call.ResponseAsync)).StatusCode.ShouldBe(StatusCode.NotFound);
        (await Should.ThrowAsync<RpcException>(() => call.RequestStream.WriteAsync(new EchoRequest(), Cancellation))).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Cancellation_ThrowsOperationCanceledWhereTheChannelSaysSo()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { ThrowOperationCanceledOnCancellation = true });
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        using var call = new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Behaviour = Behaviour.Wait }, cancellationToken: source.Token);
        await server.Record.HandlerWaitsAsync(Cancellation);
        await source.CancelAsync();
        (await Should.ThrowAsync<OperationCanceledException>(call.ResponseAsync)).CancellationToken.ShouldBe(source.Token);
    }

    [Fact]
    public async Task Read_ThatIsCancelled_CancelsTheCall()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        using var call = new Echo.EchoClient(channel).Expand(new EchoRequest { Behaviour = Behaviour.Wait }, cancellationToken: Cancellation);
        var read = call.ResponseStream.MoveNext(source.Token);
        await Should.ThrowAsync<InvalidOperationException>(() => call.ResponseStream.MoveNext(Cancellation));
        await server.Record.HandlerWaitsAsync(Cancellation);
        await source.CancelAsync();
        (await Should.ThrowAsync<RpcException>(() => read)).StatusCode.ShouldBe(StatusCode.Cancelled);
        await server.Record.HandlerWasCancelledAsync(Cancellation);
    }

    [Fact]
    public void Deadline_InLocalTime_IsAMistake()
    {
        using var channel = GrpcChannel.ForAddress("http://localhost:1");
        Should.Throw<InvalidOperationException>(() => new Echo.EchoClient(channel).UnaryAsync(new EchoRequest(), deadline: DateTime.Now, cancellationToken: Cancellation));
    }

    [Fact]
    public void Channel_RefusesWhatContradictsItself()
    {
        Should.Throw<ArgumentException>(() => GrpcChannel.ForAddress("ftp://localhost"));
        Should.Throw<ArgumentException>(() => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { Credentials = ChannelCredentials.SecureSsl }));
        Should.Throw<ArgumentException>(() => GrpcChannel.ForAddress("https://localhost", new GrpcChannelOptions { Credentials = ChannelCredentials.Insecure }));
        using var client = new HttpClient();
        using var handler = new SocketsHttpHandler();
        Should.Throw<ArgumentException>(() => GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpClient = client, HttpHandler = handler }));
    }

    private static async Task<RpcException> FailureAsync(Echo.EchoClient client, EchoRequest? request = null) =>
        await Should.ThrowAsync<RpcException>(client.UnaryAsync(request ?? new EchoRequest(), cancellationToken: Cancellation).ResponseAsync);

    private static async Task FailsWithAsync(StatusCode expected, Action<HttpContext> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost0(HttpProtocols.Http2));
        await using var app = builder.Build();
        app.Run(context =>
        {
            answer(context);
            return Task.CompletedTask;
        });
        await app.StartAsync(Cancellation);
        using var channel = GrpcChannel.ForAddress(app.Urls.First());
        (await FailureAsync(new Echo.EchoClient(channel))).StatusCode.ShouldBe(expected);
    }
}
