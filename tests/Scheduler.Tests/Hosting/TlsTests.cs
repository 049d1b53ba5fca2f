using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Hosting;

/// <summary>One scheduler whose ports speak TLS.</summary>
public sealed class TlsScheduler(PostgresServer postgres) : IAsyncLifetime
{
    internal TestAuthority Authority { get; } = new();

    internal TestAuthority OtherAuthority { get; } = new();

    internal int SiloPort { get; } = FreePorts.Take();

    internal TestScheduler Scheduler { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Scheduler = await TestScheduler.StartAsync(
        postgres, [.. Authority.Settings(CertificateUnit.Scheduler), ("Silo:Port", $"{SiloPort}")]);

    public async ValueTask DisposeAsync()
    {
        if (Scheduler is not null)
            await Scheduler.DisposeAsync();
        Authority.Dispose();
        OtherAuthority.Dispose();
    }
}

public sealed class TlsTests(TlsScheduler tls, PostgresServer postgres) : IClassFixture<TlsScheduler>
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private Uri Address => new($"https://127.0.0.1:{tls.Scheduler.GrpcPort}");

    [Fact]
    public async Task Person_WithATokenAndTheAuthority_IsAnswered()
    {
        using var channel = ChannelOf(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });

        (await ListAsync(channel)).NextPageToken.ShouldBeEmpty();
    }

    [Fact]
    public async Task Scheduler_OfAnotherAuthority_IsNotTrusted()
    {
        using var channel = ChannelOf(new TlsOptions { AuthorityFile = tls.OtherAuthority.AuthorityFile });

        await DistrustedAsync(() => ListAsync(channel));
    }

    [Fact]
    public async Task Scheduler_ByANameThatIsNotItsCertificates_IsNotTrusted()
    {
        var certificates = new CertificateFiles(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });
        var address = new Uri($"https://localhost:{tls.Scheduler.GrpcPort}");
        using var channel = Channel(address, certificates);

        await DistrustedAsync(() => ListAsync(channel));
    }

    [Fact]
    public async Task Node_WithANodesCertificate_Registers()
    {
        using var channel = ChannelOf(tls.Authority.Make(CertificateUnit.Node));

        (await RegisterAsync(channel)).LeaseDuration.ToTimeSpan().ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Fact]
    public async Task Node_WithoutACertificate_OrWithOneOfAnotherUnit_IsTold()
    {
        using var without = ChannelOf(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });
        using var other = ChannelOf(tls.Authority.Make(CertificateUnit.Server));

        foreach (var channel in new[] { without, other })
        {
            var refusal = await Should.ThrowAsync<RpcException>(() => RegisterAsync(channel));
            refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated);
            refusal.Status.Detail.ShouldContain("show a certificate of the unit node; give the agent one in Tls:CertificateFile");
        }
    }

    [Fact]
    public async Task Certificate_OfAnotherAuthority_OrExpired_GetsNoConnection()
    {
        var other = tls.OtherAuthority.Make(CertificateUnit.Node);
        other.AuthorityFile = tls.Authority.AuthorityFile;
        using var foreign = ChannelOf(other);
        using var expired = ChannelOf(tls.Authority.Make(CertificateUnit.Node, "expired", isExpired: true));

        foreach (var channel in new[] { foreign, expired })
            (await Should.ThrowAsync<RpcException>(() => RegisterAsync(channel))).Meaning().ShouldBe(StatusCode.Unavailable);
        await AuditedAsync("OU=node, CN=node", "127.0.0.1");
        await AuditedAsync("OU=node, CN=expired", "127.0.0.1");
    }

    [Fact]
    public async Task Certificate_ThatIsRenewed_IsShownToTheNextConnection_AndOneThatIsHalfThereToNobody()
    {
        using var authority = new TestAuthority();
        await using var scheduler = await TestScheduler.StartAsync(postgres, authority.Settings(CertificateUnit.Scheduler));
        var address = new Uri($"https://127.0.0.1:{scheduler.GrpcPort}");
        var certificates = new CertificateFiles(new TlsOptions { AuthorityFile = authority.AuthorityFile });
        using var before = Channel(address, certificates);
        await ListAsync(before);

        var renewed = authority.Write(CertificateUnit.Scheduler, CertificateUnit.Scheduler);

        (await SerialAsync(scheduler.GrpcPort)).ShouldBe(renewed);
        await ListAsync(before);

        await File.WriteAllTextAsync(authority.PathOf("scheduler.key"), "half a key", Token);

        (await SerialAsync(scheduler.GrpcPort)).ShouldBe(renewed);
        (await SerialAsync(scheduler.GrpcPort)).ShouldBe(renewed);
        scheduler.Log.Entries
            .Where(entry => entry.Message.StartsWith("Certificates have changed and cannot be used", StringComparison.Ordinal))
            .ShouldHaveSingleItem().Level.ShouldBe(LogLevel.Warning);
    }

    [Fact]
    public async Task PlainText_IsToldThatThePortSpeaksTls()
    {
        var refusal = await Should.ThrowAsync<RpcException>(async () => await tls.Scheduler.Jobs(TestScheduler.ViewerToken)
            .ListJobsAsync(new ListJobsRequest()));
        var cause = refusal.Status.DebugException;
        while (cause is not (null or HttpProtocolException))
            cause = cause.InnerException;
        cause.ShouldBeOfType<HttpProtocolException>(refusal.ToString()).ErrorCode.ShouldBe(0xc, "INADEQUATE_SECURITY");

        using var browser = tls.Scheduler.Browser();
        var answer = await browser.GetAsync("/healthz/live", Token);
        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldBe("this port speaks TLS; write its address with https://\n");
    }

    [Fact]
    public async Task Rest_SpeaksTlsToo()
    {
        var certificates = new CertificateFiles(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });
        using var client = new HttpClient(new SocketsHttpHandler { SslOptions = certificates.ForClient() });

        var answer = await client.GetAsync(new UriBuilder(tls.Scheduler.HttpAddress) { Scheme = "https" }.Uri + "healthz/live", Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Silos_OfOneAuthority_WorkTogether()
    {
        (string, string) database = ("Persistence:ConnectionString", tls.Scheduler.ConnectionString);
        await using var second = await TestScheduler.StartAsync(postgres, [.. tls.Authority.Settings(CertificateUnit.Scheduler), database]);
        var certificates = new CertificateFiles(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });
        using var one = Channel(Address, certificates);
        using var two = Channel(new Uri($"https://127.0.0.1:{second.GrpcPort}"), certificates);

        // Of so many jobs some have their grain in either.
        for (var i = 0; i < 8; i++)
        {
            var (submits, cancels) = i % 2 == 0 ? (one, two) : (two, one);
            var spec = JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = "nowhere").Build();
            var submit = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = spec, WaitForCapacity = true };
            var job = (await Jobs(submits).SubmitJobAsync(submit, Options(TestScheduler.SubmitterToken))).Job;
            var cancelled = await Jobs(cancels).CancelJobAsync(
                new CancelJobRequest { JobId = job.Id }, Options(TestScheduler.SubmitterToken));
            cancelled.Job.State.ShouldBe(JobState.Cancelled);
        }
    }

    /// <summary>A silo says who it is as soon as somebody is connected.</summary>
    [Fact]
    public async Task Silo_SpeaksToSchedulersAlone()
    {
        (await HearsAsync(tls.Authority.Make(CertificateUnit.Scheduler, "another"))).ShouldBeTrue();

        (await HearsAsync(tls.Authority.Make(CertificateUnit.Node))).ShouldBeFalse("a node's certificate");
        var foreign = tls.OtherAuthority.Make(CertificateUnit.Scheduler, "impostor");
        foreign.AuthorityFile = tls.Authority.AuthorityFile;
        (await HearsAsync(foreign)).ShouldBeFalse("another authority's");
        await AuditedAsync("OU=scheduler, CN=impostor", "");
        (await HearsAsync(tls.Authority.Make(CertificateUnit.Scheduler, "old", isExpired: true))).ShouldBeFalse("an expired one");
        (await HearsAsync(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile })).ShouldBeFalse("none");
    }

    [Theory]
    [InlineData("Scheduler:ListenAddress")]
    [InlineData("Silo:ListenAddress")]
    public async Task Address_ThatOthersReach_NeedsTlsOrAWordThatItDoesNot(string setting)
    {
        (string, string)[] open = [(setting, "0.0.0.0"), ("Silo:AdvertisedAddress", "127.0.0.1")];

        var refusal = await Should.ThrowAsync<OptionsValidationException>(() => TestScheduler.StartAsync(postgres, open));
        refusal.Message.ShouldContain($"{setting} is an address that other machines reach");
        refusal.Message.ShouldContain("set Tls:CertificateFile and Tls:KeyFile");

        await using var told = await TestScheduler.StartAsync(postgres, [.. open, ("Tls:AllowPlainText", "true")]);
        await told.Jobs().ListJobsAsync(new ListJobsRequest());
    }

    [Theory]
    [InlineData("Tls:AuthorityFile", "", "Tls:AuthorityFile is empty")]
    [InlineData("Tls:AuthorityFile", "/nowhere", "Tls:AuthorityFile is '/nowhere', which does not exist")]
    [InlineData("Tls:KeyFile", "", "set both, or neither")]
    public async Task Settings_ThatCannotBe_AreRefusedByTheirNames(string setting, string value, string said)
    {
        (string, string)[] settings = [.. tls.Authority.Settings(CertificateUnit.Scheduler).Where(each => each.Setting != setting)];

        (await Should.ThrowAsync<OptionsValidationException>(() => TestScheduler.StartAsync(postgres, [.. settings, (setting, value)])))
            .Message.ShouldContain(said);
    }

    /// <summary>A certificate that got no connection is noted, by the subject that it claims.</summary>
    private async Task AuditedAsync(string subject, string origin)
    {
        using var channel = ChannelOf(new TlsOptions { AuthorityFile = tls.Authority.AuthorityFile });
        var audit = new AuditService.AuditServiceClient(channel);
        await Eventually.HoldsAsync(async () => (await audit.ListAuditAsync(
                new ListAuditRequest { Action = "Connection/Certificate", Object = subject }, Options(TestScheduler.AdminToken)))
            .Entries.Any(entry => (entry.Origin, entry.Status) == (origin, "Unauthenticated")));
    }

    private GrpcChannel ChannelOf(TlsOptions options) => Channel(Address, new CertificateFiles(options));

    private static GrpcChannel Channel(Uri address, CertificateFiles certificates) => GrpcChannel.ForAddress(
        address, new GrpcChannelOptions { HttpHandler = ConnectionPings.Patient.Handler(address, certificates), DisposeHttpClient = true });

    private static JobService.JobServiceClient Jobs(GrpcChannel channel) => new(channel);

    private static CallOptions Options(string token) => new(
        new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } }, DateTime.UtcNow + Patience, Token);

    private static async Task<ListJobsResponse> ListAsync(GrpcChannel channel) =>
        await Jobs(channel).ListJobsAsync(new ListJobsRequest { Workspace = "nobody's" }, Options(TestScheduler.ViewerToken));

    private static async Task<RegisterResponse> RegisterAsync(GrpcChannel channel) =>
        await new AgentRegistryService.AgentRegistryServiceClient(channel).RegisterAsync(
            new RegisterRequest
            {
                NodeId = Guid.NewGuid().ToString(),
                Name = "node",
                AgentAddress = "https://node:7071",
                AgentSecret = "agent secret",
                Incarnation = Guid.NewGuid().ToString(),
            }, Options(TestScheduler.NodeToken));

    private static async Task DistrustedAsync(Func<Task> call)
    {
        var refusal = await Should.ThrowAsync<RpcException>(call);
        var cause = refusal.Status.DebugException;
        while (cause is not (null or AuthenticationException))
            cause = cause.InnerException;
        cause.ShouldBeOfType<AuthenticationException>(refusal.ToString());
    }

    /// <summary>Of the certificate that a new connection is shown.</summary>
    private static async Task<string> SerialAsync(int port)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Token);
        var serial = "";
        await using var stream = new SslStream(client.GetStream(), false, (_, certificate, _, _) =>
        {
            serial = certificate!.GetSerialNumberString();
            return true;
        });
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "127.0.0.1" }, Token);
        return serial;
    }

    /// <summary>Whether the silo says anything to who connects with this certificate.</summary>
    private async Task<bool> HearsAsync(TlsOptions options)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Token);
        patience.CancelAfter(Patience);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, tls.SiloPort, patience.Token);
        await using var stream = new SslStream(client.GetStream());
        try
        {
            var handshake = new CertificateFiles(options).ForClient();
            handshake.TargetHost = "127.0.0.1";
            await stream.AuthenticateAsClientAsync(handshake, patience.Token);
            return await stream.ReadAsync(new byte[1], patience.Token) > 0;
        }
        catch (Exception hungUp) when (hungUp is IOException or AuthenticationException)
        {
            return false;
        }
    }
}
