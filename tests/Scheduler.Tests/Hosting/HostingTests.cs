using System.Diagnostics;
using System.Net;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Hosting;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Grpc.Core;
using Grpc.Health.V1;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Hosting;

public sealed class HostingTests(PostgresServer postgres)
{
    // What Kestrel and Orleans say of a machine that stood still for a while, in words of their own.
    private static readonly string[] Slowness = ["longer than", "stalled", "starvation", "degraded"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Start_IsSaidInOneLineWithItsAddresses_AndWithoutAWarning()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);

        var line = scheduler.Log.Entries.Where(entry => entry.Category == typeof(StartLine).FullName).ShouldHaveSingleItem();
        line.Level.ShouldBe(LogLevel.Information);
        line.Message.ShouldContain($"gRPC on http://{scheduler.Channel.Target},");
        line.Message.ShouldContain($"REST on {scheduler.HttpAddress.OriginalString},");
        scheduler.Log.Entries.Where(entry => entry.Level >= LogLevel.Warning && !Slowness.Any(entry.Message.Contains))
            .Select(entry => $"{entry.Category}: {entry.Message}").ShouldBeEmpty();
    }

    [Fact]
    public async Task Stop_EndsTheCallsThatFollowAJob_AsUnavailable_InsteadOfWaitingForThem()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var job = await scheduler.SubmitWaitingAsync();
        using var watch = scheduler.Jobs().WatchJob(new WatchJobRequest { JobId = job.Id });
        (await watch.ResponseStream.MoveNext(Token)).ShouldBeTrue();

        var stopping = scheduler.StopAsync();

        // What was on its way (the queue's standing) still comes before the end.
        var end = await Should.ThrowAsync<RpcException>(async () =>
        {
            while (await watch.ResponseStream.MoveNext(Token))
                watch.ResponseStream.Current.ShouldNotBeNull();
        });
        end.StatusCode.ShouldBe(StatusCode.Unavailable);
        end.Status.Detail.ShouldBe("the scheduler is stopping; try again");
        await stopping;
    }

    [Fact]
    public async Task Probes_TellALiveProcessFromOneWithItsDatabase()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        using var probe = scheduler.Browser();
        (await probe.GetAsync("/healthz/live", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await probe.GetAsync("/healthz/ready", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);

        await using var outage = await DatabaseOutage.BeginAsync(scheduler.ConnectionString);

        (await probe.GetAsync("/healthz/live", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        // What was answered a moment ago is not asked again.
        await Eventually.HoldsAsync(
            async () => (await probe.GetAsync("/healthz/ready", Token)).StatusCode == HttpStatusCode.ServiceUnavailable);
    }

    /// <summary>They come without a token.</summary>
    [Fact]
    public async Task Probes_HoweverMany_AskTheDatabaseOnceASecond()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        using var probe = scheduler.Browser();
        var health = new Health.HealthClient(scheduler.Channel);
        using var statements = new Statements(scheduler.ConnectionString);
        var clock = Stopwatch.StartNew();

        await Task.WhenAll(Enumerable.Range(0, 200).Select(async number =>
        {
            if (number % 2 == 0)
                (await probe.GetAsync("/healthz/ready", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
            else
                (await health.CheckAsync(new HealthCheckRequest(), cancellationToken: Token)).Status
                    .ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        }));

        statements.All.Count(text => text == "select 1").ShouldBeLessThanOrEqualTo(2 + (int)clock.Elapsed.TotalSeconds);
    }

    /// <summary>As behind a service or a port mapping: told, and not listened on.</summary>
    [Fact]
    public async Task Schedulers_ThatTellEachOtherAddressesTheyDoNotHave_WorkTogether()
    {
        await using var toFirst = Mapping(out var first);
        await using var toSecond = Mapping(out var second);
        await using var one = await TestScheduler.StartAsync(postgres, first);
        (string, string) database = ("Persistence:ConnectionString", one.ConnectionString);
        await using var two = await TestScheduler.StartAsync(postgres, [.. second, database]);

        // Of so many jobs some have their grain in either.
        for (var i = 0; i < 8; i++)
        {
            var (submits, cancels) = i % 2 == 0 ? (one, two) : (two, one);
            var job = await submits.SubmitWaitingAsync();
            var cancelled = await cancels.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });
            cancelled.Job.State.ShouldBe(JobState.Cancelled);
        }

        // One connection serves both ways.
        (toFirst.Connections + toSecond.Connections).ShouldBeGreaterThan(0);

        static TcpRelay Mapping(out (string, string)[] settings)
        {
            var (listening, outside) = (FreePorts.Take(), IPAddress.Parse("127.0.0.2"));
            var relay = TcpRelay.To(listening, new IPEndPoint(outside, 0));
            settings = [("Silo:Port", $"{listening}"), ("Silo:AdvertisedAddress", $"{outside}"), ("Silo:AdvertisedPort", $"{relay.Port}")];
            return relay;
        }
    }

    [Theory]
    [InlineData("Scheduler:ListenAddress", "localhost", "must be an IP address")]
    [InlineData("Scheduler:GrpcPort", "70700", "between 1 and 65535")]
    [InlineData("Nodes:HeartbeatInterval", "00:04:00", "lower it to 00:03:20 or less, or raise Nodes:LeaseDuration")]
    [InlineData("Persistence:ConnectionString", "Host=here;MaxPoolSize=50", "take it out and set ControlConnections")]
    public async Task Setting_ThatCannotBe_IsRefusedByItsName(string setting, string value, string said)
    {
        var refusal = await Should.ThrowAsync<OptionsValidationException>(() => TestScheduler.StartAsync(postgres, (setting, value)));

        refusal.Message.ShouldContain(setting.Split(':')[1]);
        refusal.Message.ShouldContain(said);
    }
}
