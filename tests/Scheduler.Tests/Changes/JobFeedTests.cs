using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Changes;

public sealed class JobFeedTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly JobId _job = JobId.New();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Wait_ReturnsAtTheJobsNextChange_AndNotAtAnothers()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job);
        using var all = feed.SubscribeToAll();

        var waiting = subscription.WaitAsync(TimeSpan.FromMinutes(1), Token);
        feed.Publish(JobId.New());
        waiting.IsCompleted.ShouldBeFalse();
        await all.WaitAsync(TimeSpan.FromMinutes(1), Token);
        feed.Publish(_job);

        await waiting;
    }

    [Fact]
    public async Task Change_BetweenTwoWaits_IsNotMissed_AndSeveralCountAsOne()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job);
        feed.Publish(_job);
        feed.Publish(_job);

        await subscription.WaitAsync(TimeSpan.FromMinutes(1), Token);

        subscription.WaitAsync(TimeSpan.FromMinutes(1), Token).IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Wait_EndsWhenItIsTimeToPoll()
    {
        using var subscription = new JobFeed(_time).Subscribe(_job);
        var waiting = subscription.WaitAsync(TimeSpan.FromSeconds(1), Token);

        _time.Advance(TimeSpan.FromSeconds(1));

        await waiting;
    }

    [Fact]
    public async Task Wait_Cancelled_Throws()
    {
        using var subscription = new JobFeed(_time).Subscribe(_job);

        await Should.ThrowAsync<OperationCanceledException>(
            () => subscription.WaitAsync(TimeSpan.FromSeconds(1), new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Close_EndsEveryWait_AndThoseOfWhoComesLater()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job);
        var waiting = subscription.WaitAsync(TimeSpan.FromMinutes(1), Token);

        feed.Close();

        await Should.ThrowAsync<SchedulerStoppingException>(() => waiting);
        using var late = feed.SubscribeToAll();
        await Should.ThrowAsync<SchedulerStoppingException>(() => late.WaitAsync(TimeSpan.FromMinutes(1), Token));
    }

    [Fact]
    public void Subscription_DisposedOf_IsForgotten()
    {
        var feed = new JobFeed(_time);
        var subscription = feed.Subscribe(_job);
        feed.Subscriptions.ShouldBe(1);

        subscription.Dispose();

        feed.Subscriptions.ShouldBe(0);
    }
}
