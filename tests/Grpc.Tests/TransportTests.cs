using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cluster.Grpc.Tests.Protos;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Cluster.Grpc.Tests;

/// <summary>Ways to a server other than plain TCP, and what travels along.</summary>
public sealed class TransportTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task UnixSocket_IsReachedThroughConnectCallback()
    {
        var folder = Directory.CreateTempSubdirectory("grpc-");
        var path = Path.Combine(folder.FullName, "s");
        try
        {
            await using var server = await EchoServer.StartAsync(
                listen: kestrel => kestrel.ListenUnixSocket(path, endpoint => endpoint.Protocols = HttpProtocols.Http2));
            using var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (_, cancellationToken) =>
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            };
            using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler });
            (await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Text = "unix" }, cancellationToken: Cancellation)).Text.ShouldBe("unix");
            server.Record.LastCall!.Peer.ShouldBe("unknown");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Https_ShowsTheClientsCertificateToTheServer()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await using var server = await EchoServer.StartAsync(listen: kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.UseHttps(certificate, https =>
        {
            https.ClientCertificateMode = Microsoft.AspNetCore.Server.Kestrel.Https.ClientCertificateMode.RequireCertificate;
            https.AllowAnyClientCertificate();
        })));
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented!.GetCertHashString() == certificate.GetCertHashString();
        handler.SslOptions.ClientCertificates = [certificate];
        using var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpHandler = handler, Credentials = ChannelCredentials.SecureSsl });
        (await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest { Text = "tls" }, cancellationToken: Cancellation)).Text.ShouldBe("tls");

        var identity = server.Record.LastCall!.AuthContext;
        identity.IsPeerAuthenticated.ShouldBeTrue();
        identity.PeerIdentity.Single().Value.ShouldBe("localhost");
    }

    [Fact]
    public async Task HttpClient_MayBeGiven()
    {
        await using var server = await EchoServer.StartAsync();
        using var http = new HttpClient();
        using (var channel = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpClient = http }))
        {
            using var call = new Echo.EchoClient(channel).Chat(cancellationToken: Cancellation);
            await call.RequestStream.WriteAsync(new EchoRequest { Text = "streamed" }, Cancellation);
            (await call.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        }
        using var again = GrpcChannel.ForAddress(server.Address, new GrpcChannelOptions { HttpClient = http });
        (await new Echo.EchoClient(again).UnaryAsync(new EchoRequest { Text = "again" }, cancellationToken: Cancellation)).Text.ShouldBe("again");
    }

    [Fact]
    public async Task Trace_GoesOnAtTheServer()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        using var activity = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest(), cancellationToken: Cancellation);
        server.Record.LastCall!.RequestHeaders.GetValue("traceparent").ShouldNotBeNull().ShouldContain(activity.TraceId.ToHexString());
    }

    [Fact]
    public async Task CallContext_DescribesTheCall()
    {
        await using var server = await EchoServer.StartAsync();
        using var channel = GrpcChannel.ForAddress(server.Address);
        var deadline = DateTime.UtcNow.AddMinutes(5);
        await new Echo.EchoClient(channel).UnaryAsync(new EchoRequest(), new Metadata { { "x-one", "1" } }, deadline, Cancellation);

        var seen = server.Record.LastCall!;
        seen.Method.ShouldBe("/polyfill.v1.Echo/Unary");
        seen.Host.ShouldBe(server.Address.Authority);
        seen.Peer.ShouldStartWith("ipv4:127.0.0.1:");
        seen.Deadline.ShouldBe(deadline, TimeSpan.FromSeconds(30));
        seen.RequestHeaders.GetValue("x-one").ShouldBe("1");
        seen.AuthContext.IsPeerAuthenticated.ShouldBeFalse();
    }
}
