using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Cluster.EndToEnd.Tests;

/// <summary>Two schedulers, two workers, the dashboard and the command line, by certificates of <c>./cluster certs</c>.</summary>
public sealed class TlsCluster : IAsyncLifetime
{
    public LocalCluster Cluster { get; } = new() { Schedulers = 2, IsTls = true };

    public ValueTask InitializeAsync() => Cluster.InitializeAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}

public sealed class TlsTests(TlsCluster tls) : IClassFixture<TlsCluster>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("Round", "full")]
    public async Task Jobs_TrainOverTls_AlsoWithCertificatesThatWereRenewedMeanwhile()
    {
        var cluster = tls.Cluster;
        cluster.Addresses.Split(',').ShouldAllBe(address => address.StartsWith("https://", StringComparison.Ordinal));
        string[] services = ["dashboard", "scheduler", "scheduler-2", "worker-1", "worker-2"];
        var processes = services.Select(cluster.ProcessId).ToList();
        await TrainAsync("before");
        var before = await SerialAsync(cluster.GrpcPort(1));

        var renewed = await cluster.RunAsync(["certs", "renew", "--within", "100"], Cancelled);

        renewed.MustSucceed();
        services.ShouldAllBe(service => renewed.Output.Contains($"{service}: until ", StringComparison.Ordinal));
        using var file = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(cluster.State, "certs", "scheduler.crt"));
        file.SerialNumber.ShouldNotBe(before);
        (await SerialAsync(cluster.GrpcPort(1))).ShouldBe(file.SerialNumber);
        await TrainAsync("after");
        services.Select(cluster.ProcessId).ShouldBe(processes, "nothing was restarted");
    }

    [Fact]
    [Trait("Round", "full")]
    public async Task PlainText_IsTold()
    {
        var outcome = await tls.Cluster.RunAsync(["node", "list", "--server", tls.Cluster.GrpcAddress], Cancelled);

        outcome.ExitCode.ShouldBe(3);
        outcome.Error.ShouldContain("speaks TLS; write https:// in --server or CLUSTER_SERVER");
    }

    private async Task TrainAsync(string name)
    {
        var file = Path.Combine(tls.Cluster.State, $"{name}.yaml");
        await File.WriteAllTextAsync(file, JobFiles.LeNet(name), Cancelled);
        (await tls.Cluster.RunAsync(["job", "submit", file, "-f"], Cancelled)).MustSucceed();
    }

    /// <summary>Of the certificate that a new connection is shown.</summary>
    internal static async Task<string> SerialAsync(int port)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Cancelled);
        var serial = "";
        await using var stream = new SslStream(client.GetStream(), false, (_, certificate, _, _) =>
        {
            serial = certificate!.GetSerialNumberString();
            return true;
        });
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "127.0.0.1" }, Cancelled);
        return serial;
    }
}
