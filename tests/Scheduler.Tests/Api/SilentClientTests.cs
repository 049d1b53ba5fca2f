using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Clients behind a relay that falls silent and closes nothing.</summary>
public sealed class SilentClientTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Watch_OfAClientThatFellSilent_LeavesNoSubscription()
    {
        await using var scheduler = await StartAsync();
        await using var relay = TcpRelay.To(scheduler.GrpcPort);
        using var channel = GrpcChannel.ForAddress(relay.Address);
        var job = await scheduler.SubmitWaitingAsync();
        using var watch = Watch(channel, job);
        (await watch.ResponseStream.MoveNext(Token)).ShouldBeTrue();
        scheduler.Watchers.ShouldBe(1);

        relay.FallSilent();

        await Eventually.HoldsAsync(() => scheduler.Watchers == 0);
    }

    /// <summary>
    /// What the scheduler says still arrives, so that the client's own pings, which wait for silence, would not come before the scheduler
    /// gives up.
    /// </summary>
    [Fact]
    public async Task Watch_WhenOnlyTheClientIsNotHeard_EndsAsUnavailable()
    {
        await using var scheduler = await StartAsync();
        await using var relay = TcpRelay.To(scheduler.GrpcPort);
        using var channel = GrpcChannel.ForAddress(relay.Address);
        var job = await scheduler.SubmitWaitingAsync();
        using var watch = Watch(channel, job);
        (await watch.ResponseStream.MoveNext(Token)).ShouldBeTrue();

        relay.FallSilentOneWay();

        // What was on its way (the queue's standing) still comes before the end.
        var end = await Should.ThrowAsync<RpcException>(async () =>
        {
            while (await watch.ResponseStream.MoveNext(Token))
                watch.ResponseStream.Current.ShouldNotBeNull();
        });
        end.Meaning().ShouldBe(StatusCode.Unavailable, end.ToString());
    }

    // An answer may take a while on a busy machine: it is not to be taken for the silence that a test makes.
    private Task<TestScheduler> StartAsync() =>
        TestScheduler.StartAsync(postgres, ("Scheduler:PingDelay", "00:00:01"), ("Scheduler:PingTimeout", "00:00:15"));

    private static AsyncServerStreamingCall<WatchJobResponse> Watch(GrpcChannel channel, Job job) =>
        new JobService.JobServiceClient(channel).WatchJob(
            new WatchJobRequest { JobId = job.Id },
            new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(TestScheduler.ViewerToken) } });
}
