using Cluster.Contracts.V1;
using Google.Protobuf;

namespace Cluster.Cli.Tests;

public sealed class QueueVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Create_SendsWhatIsGiven_AndUpdateChangesThatAlone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (created, updated) = (new CliRun(cluster), new CliRun(cluster));

        (await created.RunAsync(
            Cancellation, "queue", "create", "research", "--weight", "2", "--quota", "cuda=4", "--quota", "cpu=8", "--borrow", "cuda=2",
            "--owner-limit", "cuda=3")).ShouldBe(ExitCode.Done, created.Error);
        (await updated.RunAsync(
            Cancellation, "queue", "update", "research", "--lend", "cuda=0", "--borrow", "cuda=none", "--quota", "cpu=none", "--parent",
            "all")).ShouldBe(ExitCode.Done, updated.Error);

        created.Out.ShouldBe("""
            queue     research
            weight    2
            quota     4 cuda, 8 cpu
            borrows   2 cuda
            an owner  3 cuda
            waiting   0 jobs
            running   0 jobs

            """);
        cluster.Queues.Single().Queue.ShouldBe(new Queue
        {
            Name = "research",
            Parent = "all",
            Weight = 2,
            Quotas = { new DeviceQuota { Kind = DeviceKind.Cuda, Nominal = 4, LendingLimit = 0, OwnerLimit = 3 } },
        });
    }

    [Fact]
    public async Task List_GoesThroughAllPages()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.PageSize = 1;
        cluster.Queues.Add(new QueueStatus { Queue = new Queue { Name = "default", Weight = 1 } });
        cluster.Queues.Add(new QueueStatus
        {
            Queue = new Queue
            {
                Name = "research",
                Parent = "all",
                Weight = 1.5,
                Quotas = { new DeviceQuota { Kind = DeviceKind.Cuda, Nominal = 4 } },
            },
            WaitingJobs = 10_000,
            MoreWaiting = true,
            RunningJobs = 1,
            Used = { new UsedDevices { Kind = DeviceKind.Cuda, Devices = 6 } },
        });
        var (run, json, one) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));

        (await run.RunAsync(Cancellation, "queue", "list")).ShouldBe(ExitCode.Done);
        (await one.RunAsync(Cancellation, "queue", "describe", "research")).ShouldBe(ExitCode.Done);
        one.Out.ShouldContain("\nwaiting   more than 10000 jobs\n");
        await json.RunAsync(Cancellation, "queue", "list", "--json");

        run.Out.ShouldBe("""
            QUEUE     PARENT  WEIGHT  QUOTA   USED    WAITING  RUNNING
            default   -       1       -       -       0        0
            research  all     1.5     4 cuda  6 cuda  10000+   1

            """);
        JsonParser.Default.Parse<ListQueuesResponse>(json.Out).Queues.ShouldBe(cluster.Queues);
    }

    [Fact]
    public async Task Delete_SaysWhatIsGone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Queues.Add(new QueueStatus { Queue = new Queue { Name = "research", Weight = 1 } });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "queue", "delete", "research")).ShouldBe(ExitCode.Done, run.Error);

        (run.Out, cluster.Queues.Count).ShouldBe(("queue research deleted\n", 0));
    }

    [Theory]
    [InlineData("gpu=4")]
    [InlineData("cuda")]
    [InlineData("cuda=-1")]
    public async Task Quota_ThatIsNoKindWithANumber_IsRefusedWithTheRemedy(string text)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "queue", "create", "a", "--quota", text)).ShouldBe(ExitCode.Usage);

        run.Error.Trim().ShouldBe(
            $"--quota is {text} but must be a kind of device and a number; write it as cuda=4, or cuda=none to take it away");
    }

    [Fact]
    public async Task Accuracy_IsTold_OrThatThereIsNone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (none, some) = (new CliRun(cluster), new CliRun(cluster));
        await none.RunAsync(Cancellation, "queue", "accuracy");
        cluster.Accuracy = new GetAccuracyResponse
        {
            Jobs = 4,
            Close = 0.75,
            WithinTenMinutes = 1,
            ByLikely = 0.5,
            ByLate = 1,
            MedianErrorSeconds = 75,
        };

        (await some.RunAsync(Cancellation, "queue", "accuracy", "research")).ShouldBe(ExitCode.Done, some.Error);

        none.Out.ShouldBe("no job has started yet of which it was forecast\n");
        some.Out.ShouldBe("""
            jobs                                     4
            within a minute, or a tenth of the wait  75.0 %
            within ten minutes                       100.0 %
            started by the likely time               50.0 % (of 50.0 %)
            started by the late time                 100.0 % (of 90.0 %)
            median error                             1m 15s

            """);
    }
}
