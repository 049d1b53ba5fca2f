using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Cluster.Worker.Agent;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Tests.Agent;

/// <summary>An agent whose port speaks TLS takes orders from schedulers of its authority, and from nobody else.</summary>
public sealed class AgentTlsTests : AgentTest
{
    [Fact]
    public async Task Orders_AreTakenFromASchedulersCertificateAlone()
    {
        using var authority = new TestAuthority();
        using var other = new TestAuthority();
        await using var agent = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End,
            [.. authority.Settings(CertificateUnit.Node).Select(each => $"--{each.Setting}={each.Value}")]);
        agent.Registration.AgentAddress.ShouldStartWith("https://127.0.0.1:");

        await StopAsync(agent, authority.Make(CertificateUnit.Scheduler));

        await RefusedAsync(agent, authority.Make(CertificateUnit.Node));
        await RefusedAsync(agent, authority.Make(CertificateUnit.Scheduler, "old", isExpired: true));
        await RefusedAsync(agent, new TlsOptions { AuthorityFile = authority.AuthorityFile });
        var foreign = other.Make(CertificateUnit.Scheduler);
        foreign.AuthorityFile = authority.AuthorityFile;
        await RefusedAsync(agent, foreign);
    }

    [Fact]
    public async Task Trainers_GetTheNodesCertificate_WhereTheyAreToEncrypt()
    {
        using var authority = new TestAuthority();
        string[] tls = [.. authority.Settings(CertificateUnit.Node).Select(each => $"--{each.Setting}={each.Value}")];
        await using var plain = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End, tls);
        await using var encrypting = await RunningAgent.StartAsync(
            Scheduler, RunningAgent.Waiting, End, [.. tls, "--Agent:TrainerTls=true"]);

        plain.Services.GetRequiredService<AgentEndpoints>().TrainerCertificates.ShouldBeNull();
        encrypting.Services.GetRequiredService<AgentEndpoints>().TrainerCertificates.ShouldBe(new PeerCertificates
        {
            CertificateFile = authority.PathOf("node.crt"),
            KeyFile = authority.PathOf("node.key"),
            AuthorityFile = authority.AuthorityFile,
        });
    }

    [Fact]
    public void EncryptingTrainers_NeedsACertificate()
    {
        var folder = Directory.CreateTempSubdirectory("agent-tls-");
        try
        {
            string[] settings = [.. RunningAgent.Settings(folder, Scheduler, RunningAgent.Waiting), "--Agent:TrainerTls=true"];

            Should.Throw<OptionsValidationException>(
                    () => AgentHost.Build(settings).Services.GetRequiredService<IOptions<AgentOptions>>().Value)
                .Message.ShouldStartWith("Agent:TrainerTls is true and Tls:CertificateFile is empty");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Address_ThatOthersReach_NeedsTlsOrAWordThatItDoesNot()
    {
        var folder = Directory.CreateTempSubdirectory("agent-tls-");
        try
        {
            string[] open =
            [
                .. RunningAgent.Settings(folder, Scheduler, RunningAgent.Waiting),
                "--Agent:ListenAddress=0.0.0.0:0", "--Agent:AdvertiseHost=node",
            ];

            Should.Throw<OptionsValidationException>(() => Options(open)).Message
                .ShouldStartWith("Agent:ListenAddress is an address that other machines reach");
            Options([.. open, "--Tls:AllowPlainText=true"]).ListenAddress.ShouldBe("0.0.0.0:0");
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static AgentOptions Options(string[] settings) =>
            AgentHost.Build(settings).Services.GetRequiredService<IOptions<AgentOptions>>().Value;
    }

    private async Task RefusedAsync(RunningAgent agent, TlsOptions client) =>
        (await Should.ThrowAsync<RpcException>(() => StopAsync(agent, client))).Meaning().ShouldBe(StatusCode.Unavailable);

    private async Task StopAsync(RunningAgent agent, TlsOptions client)
    {
        var address = new Uri(agent.Registration.AgentAddress);
        using var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = ConnectionPings.Patient.Handler(address, new CertificateFiles(client)),
            DisposeHttpClient = true,
        });
        await new AgentService.AgentServiceClient(channel).StopAsync(
            new StopRequest { JobId = Guid.NewGuid().ToString(), Attempt = 1 }, agent.Options(End));
    }
}
