using Cluster.Contracts;
using Cluster.Scheduler.Changes;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Scheduler.Tests.Changes;

public sealed class JobFeedTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private readonly FakeTimeProvider _time = new();
    private readonly JobId _job = JobId.New();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Wait_ReturnsAtTheJobsNextChange_AndNotAtAnothers()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job, JobChange.All);
        using var all = feed.SubscribeToAll(JobChange.All);

        var waiting = subscription.WaitAsync(Long, Token);
        feed.Publish(JobId.New());
        waiting.IsCompleted.ShouldBeFalse();
        await all.WaitAsync(Long, Token);
        feed.Publish(_job);

        await waiting;
    }

    [Fact]
    public async Task Wait_SleepsThroughChangesOfOtherKinds()
    {
        var feed = new JobFeed(_time);
        using var logs = feed.Subscribe(_job, JobChange.State | JobChange.Logs);
        using var all = feed.SubscribeToAll(JobChange.State);

        var (waiting, waitingForAny) = (logs.WaitAsync(Long, Token), all.WaitAsync(Long, Token));
        feed.Publish(_job, JobChange.Metrics | JobChange.Progress);
        feed.PublishReasons(_ => true);
        (waiting.IsCompleted || waitingForAny.IsCompleted).ShouldBeFalse();
        feed.Publish(_job, JobChange.Logs);

        await waiting;
        waitingForAny.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Reasons_AreToldToWhoWatchesAJobWhoseReasonChanged_AndToWhoWatchesAll()
    {
        var feed = new JobFeed(_time);
        using var one = feed.Subscribe(_job, JobChange.Queue);
        using var other = feed.Subscribe(JobId.New(), JobChange.Queue);
        using var all = feed.SubscribeToAll(JobChange.Queue);

        var untold = other.WaitAsync(Long, Token);
        feed.PublishReasons(job => job == _job);

        await one.WaitAsync(Long, Token);
        await all.WaitAsync(Long, Token);
        untold.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Change_BetweenTwoWaits_IsNotMissed_AndSeveralCountAsOne()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job, JobChange.State);
        feed.Publish(_job);
        feed.Publish(_job);

        await subscription.WaitAsync(Long, Token);

        subscription.WaitAsync(Long, Token).IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task Wait_EndsWhenItIsTimeToLook()
    {
        using var subscription = new JobFeed(_time).Subscribe(_job, JobChange.State);
        var waiting = subscription.WaitAsync(TimeSpan.FromSeconds(1), Token);

        _time.Advance(TimeSpan.FromSeconds(1));

        await waiting;
    }

    [Fact]
    public async Task Wait_Cancelled_Throws()
    {
        using var subscription = new JobFeed(_time).Subscribe(_job, JobChange.State);

        await Should.ThrowAsync<OperationCanceledException>(
            () => subscription.WaitAsync(TimeSpan.FromSeconds(1), new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Close_EndsEveryWait_AndThoseOfWhoComesLater()
    {
        var feed = new JobFeed(_time);
        using var subscription = feed.Subscribe(_job, JobChange.State);
        var waiting = subscription.WaitAsync(Long, Token);

        feed.Close();

        await Should.ThrowAsync<SchedulerStoppingException>(() => waiting);
        using var late = feed.SubscribeToAll(JobChange.State);
        await Should.ThrowAsync<SchedulerStoppingException>(() => late.WaitAsync(Long, Token));
    }

    [Fact]
    public void Subscription_DisposedOf_IsForgotten()
    {
        var feed = new JobFeed(_time);
        var (one, all) = (feed.Subscribe(_job, JobChange.State), feed.SubscribeToAll(JobChange.State));
        feed.Subscriptions.ShouldBe(2);

        one.Dispose();
        all.Dispose();

        feed.Subscriptions.ShouldBe(0);
    }

    [Fact]
    public async Task Outbox_HoldsOneEntryAJob_WithAllThatBecameOfIt_SinceTheFirst()
    {
        var feed = new JobFeed(_time);
        var first = _time.GetTimestamp();
        feed.Publish(_job, JobChange.Metrics);
        _time.Advance(TimeSpan.FromSeconds(1));
        feed.Publish(_job, JobChange.State);
        feed.PublishReasons(_ => false);

        (await feed.Outbox.TakeAsync(Token)).ShouldBe(
            [new PendingChange(_job, JobChange.Metrics | JobChange.State, first),
                new PendingChange(null, JobChange.Queue, _time.GetTimestamp())]);
        feed.Outbox.TakeAsync(Token).IsCompleted.ShouldBeFalse();
    }
}
