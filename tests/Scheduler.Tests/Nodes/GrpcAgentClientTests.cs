using System.Net;
using Cluster.Contracts.Access;
using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Tests.Shared;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Nodes;

/// <summary>The client of agents against an agent's service on a real port.</summary>
public sealed class GrpcAgentClientTests : IAsyncLifetime
{
    private readonly FakeAgent _agent = new();
    private WebApplication _server = null!;
    private AgentEndpoint _endpoint = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(
            kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(_agent);
        _server = builder.Build();
        _server.MapGrpcService<FakeAgent>();
        await _server.StartAsync(Token);
        var address = _server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        _endpoint = new AgentEndpoint(new Uri(address), "agent secret");
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Launch_ReachesTheAgent_WithItsSecret()
    {
        using var client = Client();

        (await client.LaunchAsync(_endpoint, new LaunchRequest { JobId = "job", Attempt = 3 }, Token))
            .Status.ShouldBe(LaunchStatus.Launched);

        _agent.Launched.ShouldHaveSingleItem().Attempt.ShouldBe(3);
        _agent.Authorization.ShouldBe("Bearer agent secret");
        _agent.HadDeadline.ShouldBeTrue();
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted, LaunchStatus.Refused)]
    [InlineData(StatusCode.FailedPrecondition, LaunchStatus.Refused)]
    [InlineData(StatusCode.Aborted, LaunchStatus.Closing)]
    [InlineData(StatusCode.Internal, LaunchStatus.Unknown)]
    public async Task Launch_ThatFails_TellsWhetherAnythingMayRun(StatusCode status, LaunchStatus expected)
    {
        using var client = Client();
        _agent.Fail = new RpcException(new Status(status, "cpu:0 is in use"));

        var result = await client.LaunchAsync(_endpoint, new LaunchRequest(), Token);

        result.ShouldBe(new LaunchResult(expected, $"{status}: cpu:0 is in use"));
        _agent.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task CallThatDidNotGetThrough_IsRepeated_ButNotForEver()
    {
        using var client = Client();
        _agent.Fail = new RpcException(new Status(StatusCode.Unavailable, "shutting down"));

        (await client.LaunchAsync(_endpoint, new LaunchRequest(), Token)).Status.ShouldBe(LaunchStatus.Unknown);
        _agent.Calls.ShouldBe(3);
        (await client.StopAsync(_endpoint, new StopRequest(), Token)).ShouldBeFalse();
        _agent.Fail = null;
        (await client.StopAsync(_endpoint, new StopRequest(), Token)).ShouldBeTrue();
    }

    [Fact]
    public async Task AgentThatDoesNotAnswer_IsGivenUpAtTheDeadline()
    {
        using var client = Client(TimeSpan.FromMilliseconds(200));
        _agent.Hang = true;

        (await client.LaunchAsync(_endpoint, new LaunchRequest(), Token)).ShouldBe(NoAnswerInTime());
    }

    /// <summary>The agent's server watches the deadline too, and may be the first to say that it has passed.</summary>
    [Fact]
    public async Task DeadlineThatTheAgentTells_ReadsAsTheClients()
    {
        using var client = Client();
        _agent.Fail = new RpcException(new Status(StatusCode.DeadlineExceeded, "Deadline Exceeded"));

        (await client.LaunchAsync(_endpoint, new LaunchRequest(), Token)).ShouldBe(NoAnswerInTime());
    }

    [Fact]
    public async Task ConnectionThatFallsSilent_IsFoundOut_AndTheCallMadeOverAnother()
    {
        using var client = Client();
        await using var relay = TcpRelay.To(_endpoint.Address.Port);
        var mapped = _endpoint with { Address = relay.Address };
        (await client.LaunchAsync(mapped, new LaunchRequest { Attempt = 1 }, Token)).Status.ShouldBe(LaunchStatus.Launched);

        relay.FallSilent();
        relay.Recover();

        (await client.LaunchAsync(mapped, new LaunchRequest { Attempt = 2 }, Token)).ShouldBe(new LaunchResult(LaunchStatus.Launched, ""));
        _agent.Launched.Select(launch => launch.Attempt).ShouldBe([1, 2]);
        relay.Connections.ShouldBe(2);
    }

    /// <summary>
    /// Or a silent connection would cost the node its lease, or the launch its only answer. A lease runs from before its renewal's answer,
    /// the last frame. The handler looks at its connections once a second, so each wait ends with the second after it.
    /// </summary>
    [Fact]
    public void SilentConnection_IsFoundOut_WithinALeaseAndADeadline()
    {
        var options = new NodeOptions();
        var found = TimeSpan.FromSeconds(
            Math.Floor(ConnectionPings.Prompt.Delay.TotalSeconds) + 1 + Math.Floor(ConnectionPings.Prompt.Timeout.TotalSeconds) + 1);

        found.ShouldBeLessThan(options.LeaseDuration);
        found.ShouldBeLessThan(options.AgentDeadline);
        (options.AgentDeadline * (options.AgentRetries + 1)).ShouldBeLessThan(TimeSpan.FromSeconds(30), "a grain call's time-out");
    }

    [Fact]
    public async Task Describe_BringsTheAnswers_OrWhyThereAreNone()
    {
        using var client = Client();
        var request = new DescribeModelsRequest { Queries = { new ModelQuery { Model = new ModelSpec { Name = "lenet5" } } } };

        (await DescribeAsync()).Read().Answers.ShouldHaveSingleItem().Fault.ShouldBe("no lenet5 here");
        _agent.Fail = new RpcException(new Status(StatusCode.Internal, "it ended with signal 9"));
        (await DescribeAsync()).Detail.ShouldBe("Internal: it ended with signal 9");

        Task<DescribeResult> DescribeAsync() => client.DescribeAsync(_endpoint, request, TimeSpan.FromSeconds(25), Token);
    }

    private LaunchResult NoAnswerInTime() => new(
        LaunchStatus.Unknown,
        $"no answer from the agent at {_endpoint} (DeadlineExceeded); its node tells this address, in Agent:AdvertiseHost there");

    private static GrpcAgentClient Client(TimeSpan? deadline = null)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(Options.Create(new NodeOptions { AgentDeadline = deadline ?? TimeSpan.FromSeconds(30), AgentRetries = 2 }));
        services.AddSingleton(new CertificateFiles(new TlsOptions()));
        GrpcAgentClient.AddRetry(services);
        services.AddSingleton<GrpcAgentClient>();
        return services.BuildServiceProvider().GetRequiredService<GrpcAgentClient>();
    }

    private sealed class FakeAgent : AgentService.AgentServiceBase
    {
        private int _calls;

        public List<LaunchRequest> Launched { get; } = [];

        public string? Authorization { get; private set; }

        public bool HadDeadline { get; private set; }

        public RpcException? Fail { get; set; }

        public bool Hang { get; set; }

        public int Calls => _calls;

        public override async Task<LaunchResponse> Launch(LaunchRequest request, ServerCallContext context)
        {
            Interlocked.Increment(ref _calls);
            Authorization = context.RequestHeaders.GetValue("authorization");
            HadDeadline = context.Deadline != DateTime.MaxValue;
            if (Hang)
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            if (Fail is { } failure)
                throw failure;
            Launched.Add(request);
            return new LaunchResponse();
        }

        public override Task<StopResponse> Stop(StopRequest request, ServerCallContext context) =>
            Fail is { } failure ? Task.FromException<StopResponse>(failure) : Task.FromResult(new StopResponse());

        public override Task<DescribeModelsResponse> DescribeModels(
            DescribeModelsRequest request, ServerCallContext context) => Fail is { } failure
            ? Task.FromException<DescribeModelsResponse>(failure)
            : Task.FromResult(new DescribeModelsResponse
            {
                Answers = { request.Queries.Select(query => new ModelAnswer { Fault = $"no {query.Model.Name} here" }) },
            });
    }
}
