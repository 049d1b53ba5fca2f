using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Cluster.Grpc.Tests;

public sealed class HealthTests : IAsyncLifetime
{
    private HealthStatus state = HealthStatus.Healthy;
    private EchoServer server = null!;
    private GrpcChannel channel = null!;
    private Health.HealthClient client = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await EchoServer.StartAsync(services: services => services
            .AddGrpcHealthChecks(options => options.Services.Map("database", check => check.Tags.Contains("database")))
            .AddCheck("postgres", () => new HealthCheckResult(state), tags: ["database"]));
        channel = GrpcChannel.ForAddress(server.Address);
        client = new Health.HealthClient(channel);
    }

    public async ValueTask DisposeAsync()
    {
        channel.Dispose();
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData(HealthStatus.Healthy, ServingStatus.Serving)]
    [InlineData(HealthStatus.Degraded, ServingStatus.Serving)]
    [InlineData(HealthStatus.Unhealthy, ServingStatus.NotServing)]
    public async Task Check_RunsTheServicesChecks(HealthStatus now, ServingStatus expected)
    {
        state = now;
        (await client.CheckAsync(new HealthCheckRequest { Service = "database" }, cancellationToken: Cancellation)).Status.ShouldBe(expected);
        (await client.CheckAsync(new HealthCheckRequest(), cancellationToken: Cancellation)).Status.ShouldBe(expected, "the server is all its checks");
    }

    [Fact]
    public async Task Check_OfAnUnknownService_IsNotFound()
    {
        var failure = await Should.ThrowAsync<RpcException>(
            client.CheckAsync(new HealthCheckRequest { Service = "nobody" }, cancellationToken: Cancellation).ResponseAsync);
        failure.StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Watch_TellsTheStateNowAndEachChange()
    {
        await PublishAsync();
        using var watch = client.Watch(new HealthCheckRequest { Service = "database" }, cancellationToken: Cancellation);
        (await NextAsync(watch)).ShouldBe(ServingStatus.Serving);
        await PublishAsync();  // unchanged, so nothing is sent
        state = HealthStatus.Unhealthy;
        await PublishAsync();
        (await NextAsync(watch)).ShouldBe(ServingStatus.NotServing);
    }

    [Fact]
    public async Task Watch_OfAnUnknownService_GoesOn()
    {
        using var watch = client.Watch(new HealthCheckRequest { Service = "nobody" }, cancellationToken: Cancellation);
        (await NextAsync(watch)).ShouldBe(ServingStatus.ServiceUnknown);
        server.ActiveCalls.Count.ShouldBe(1);
    }

    private static async Task<ServingStatus> NextAsync(AsyncServerStreamingCall<HealthCheckResponse> watch)
    {
        (await watch.ResponseStream.MoveNext(Cancellation)).ShouldBeTrue();
        return watch.ResponseStream.Current.Status;
    }

    private async Task PublishAsync()
    {
        var report = await server.Checks.CheckHealthAsync(Cancellation);
        foreach (var publisher in server.Services.GetServices<IHealthCheckPublisher>())
            await publisher.PublishAsync(report, Cancellation);
    }
}
