using Cluster.Contracts.V1;
using Cluster.Scheduler.Queues;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Queues;

/// <summary>Queues as their callers see them.</summary>
public sealed class QueueCallTests(PostgresServer postgres) : IAsyncLifetime
{
    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private QueueService.QueueServiceClient Operator => new(_scheduler.As(TestScheduler.OperatorToken));

    private QueueService.QueueServiceClient Viewer => new(_scheduler.As(TestScheduler.ViewerToken));

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public async Task Queue_IsDeclared_Changed_AndDeleted()
    {
        var queue = new Queue
        {
            Name = "research",
            Weight = 2,
            Quotas =
            {
                new DeviceQuota { Kind = DeviceKind.Cuda, Nominal = 4, BorrowingLimit = 2, LendingLimit = 0 },
                new DeviceQuota { Kind = DeviceKind.Cpu, OwnerLimit = 3 },
            },
        };

        var created = (await Operator.CreateQueueAsync(new CreateQueueRequest { Queue = queue }, cancellationToken: Token)).Queue;
        queue.Quotas[0].Nominal = 5;
        (await Operator.UpdateQueueAsync(new UpdateQueueRequest { Queue = queue }, cancellationToken: Token)).Queue.Queue.ShouldBe(queue);
        (await Operator.CreateQueueAsync(
            new CreateQueueRequest { Queue = new Queue { Name = "vision", Parent = "research" } }, cancellationToken: Token))
            .Queue.Queue.Weight.ShouldBe(1);

        created.Queue.Quotas[0].Nominal.ShouldBe(4);
        (await NamesAsync()).ShouldBe(["default", "research", "vision"]);
        (await Viewer.GetQueueAsync(new GetQueueRequest { Name = "research" }, cancellationToken: Token)).Queue.Queue.ShouldBe(queue);
        await RefusedAsync(() => DeleteAsync("research"), StatusCode.FailedPrecondition, "other queues lie in queue 'research'");
        await DeleteAsync("vision");
        await DeleteAsync("research");
        (await NamesAsync()).ShouldBe(["default"]);
    }

    [Fact]
    public async Task List_GoesThroughAllInPages_ByName()
    {
        foreach (var name in new[] { "b", "a", "c" })
            await CreateAsync(name);

        var (seen, request) = (new List<string>(), new ListQueuesRequest { PageSize = 3 });
        do
        {
            var page = await Viewer.ListQueuesAsync(request, cancellationToken: Token);
            seen.AddRange(page.Queues.Select(queue => queue.Queue.Name));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        seen.ShouldBe(["a", "b", "c", "default"]);
        await RefusedAsync(
            () => Viewer.ListQueuesAsync(new ListQueuesRequest { PageToken = "made up" }).ResponseAsync, StatusCode.InvalidArgument,
            "page_token is 'made up'");
    }

    [Fact]
    public async Task WhatIsWrong_IsRefusedWithItsSetting()
    {
        await CreateAsync("research");
        await RefusedAsync(() => CreateAsync("research"), StatusCode.AlreadyExists, "there is a queue 'research' already");
        await RefusedAsync(() => CreateAsync("-"), StatusCode.InvalidArgument, "name is '-'");
        await RefusedAsync(
            () => CreateAsync("a", q => q.Parent = "nobody"), StatusCode.InvalidArgument, "is 'nobody', which is not declared");
        await RefusedAsync(() => CreateAsync("a", q => q.Weight = -1), StatusCode.InvalidArgument, "weight is -1");
        await RefusedAsync(
            () => CreateAsync("a", q => q.Quotas.Add(new DeviceQuota { Kind = DeviceKind.Any })), StatusCode.InvalidArgument,
            "quotas.kind is Any");
        await RefusedAsync(
            () => CreateAsync("a", q => q.Quotas.Add(new DeviceQuota { Kind = DeviceKind.Cpu, Nominal = -1 })), StatusCode.InvalidArgument,
            "has the number -1; give 0 to 1000000");
        await RefusedAsync(
            () => CreateAsync("a", q => q.Quotas.Add(new DeviceQuota { Kind = DeviceKind.Cpu, LendingLimit = 1 })),
            StatusCode.InvalidArgument, "without nominal");
        await CreateAsync("below", q => q.Parent = "research");
        await RefusedAsync(
            () => Operator.UpdateQueueAsync(
                new UpdateQueueRequest { Queue = new Queue { Name = "research", Parent = "below" } }).ResponseAsync,
            StatusCode.InvalidArgument, "which lies in it");
        await RefusedAsync(
            () => Operator.UpdateQueueAsync(new UpdateQueueRequest { Queue = new Queue { Name = "nobody" } }).ResponseAsync,
            StatusCode.NotFound, "there is no queue 'nobody'");
        await RefusedAsync(() => DeleteAsync("nobody"), StatusCode.NotFound, "there is no queue 'nobody'");
        await RefusedAsync(() => DeleteAsync("default"), StatusCode.FailedPrecondition, "it stays");
        await RefusedAsync(
            () => new QueueService.QueueServiceClient(_scheduler.As(TestScheduler.SubmitterToken))
                .CreateQueueAsync(new CreateQueueRequest { Queue = new Queue { Name = "a" } }).ResponseAsync,
            StatusCode.PermissionDenied, "");
    }

    [Fact]
    public async Task Job_WaitsInTheQueueThatItNames_AndIsMoved()
    {
        await CreateAsync("research");
        await CreateAsync("product");
        var spec = AJob().With(s => s.Resources.NodeLabels["only"] = "nowhere").In("research").Build();
        var submit = new SubmitJobRequest { RequestId = "a", Spec = spec, WaitForCapacity = true };

        var job = (await _scheduler.Jobs().SubmitJobAsync(submit, cancellationToken: Token)).Job;
        job.QueueName.ShouldBe("research");
        await RefusedAsync(() => DeleteAsync("research"), StatusCode.FailedPrecondition, "jobs wait or run in queue 'research'");
        (await Viewer.GetQueueAsync(new GetQueueRequest { Name = "research" }, cancellationToken: Token)).Queue.WaitingJobs.ShouldBe(1);
        var moved = (await _scheduler.Jobs().UpdateJobAsync(
            new UpdateJobRequest { JobId = job.Id, Queue = "product", Priority = 7 }, cancellationToken: Token)).Job;

        (moved.QueueName, moved.Priority, moved.Spec.Queue).ShouldBe(("product", 7, "research"));
        await DeleteAsync("research");
        (await ListedAsync("product")).ShouldBe([job.Id]);
        (await ListedAsync("default")).ShouldBeEmpty();
        (await _scheduler.Jobs().SubmitJobAsync(submit, cancellationToken: Token)).Job.QueueName
            .ShouldBe("product", "a repeated submit asks what has become of it");

        async Task<IEnumerable<string>> ListedAsync(string queue) =>
            (await _scheduler.Jobs().ListJobsAsync(new ListJobsRequest { Queue = queue })).Jobs.Select(listed => listed.Id);
    }

    /// <summary>A list of queues reads no more of a long one than it tells.</summary>
    [Fact]
    public async Task WaitingJobs_AreCountedUpToABound()
    {
        await CreateAsync("long");
        var waiting = await _scheduler.SubmitWaitingAsync();
        // Rows of no job, and nobody is told of them.
        await _scheduler.ExecuteAsync($"""
            set session_replication_role = replica;
            create temporary table more as select q.* from job_queue q, generate_series(1, {QueueQueries.Counted + 1});
            update more set queue = 'long', job_id = gen_random_uuid();
            insert into job_queue select * from more;
            drop table more;
            reset session_replication_role
            """);

        var counted = (await Viewer.ListQueuesAsync(new ListQueuesRequest(), cancellationToken: Token)).Queues
            .Select(queue => (queue.Queue.Name, queue.WaitingJobs, queue.MoreWaiting));

        counted.ShouldBe([("default", 1, false), ("long", QueueQueries.Counted, true)]);
        waiting.QueueName.ShouldBe("default");
    }

    [Fact]
    public async Task Job_OfAQueueThatNobodyCreated_IsRefused_AtSubmit_AtValidate_AndAtMove()
    {
        var waiting = await _scheduler.SubmitWaitingAsync();
        await _scheduler.AddNodeAsync("node");
        var spec = AJob().In("nobody").Build();
        var jobs = _scheduler.Jobs();

        await RefusedAsync(
            () => jobs.SubmitJobAsync(new SubmitJobRequest { RequestId = "a", Spec = spec }).ResponseAsync, StatusCode.InvalidArgument,
            "queue is 'nobody'");
        await RefusedAsync(
            () => jobs.ValidateJobAsync(new ValidateJobRequest { Spec = spec }).ResponseAsync, StatusCode.InvalidArgument,
            "queue is 'nobody'");
        await RefusedAsync(
            () => jobs.UpdateJobAsync(new UpdateJobRequest { JobId = waiting.Id, Queue = "nobody" }).ResponseAsync,
            StatusCode.InvalidArgument, "queue is 'nobody'");
        await RefusedAsync(
            () => jobs.UpdateJobAsync(new UpdateJobRequest { JobId = waiting.Id, Priority = 1001 }).ResponseAsync,
            StatusCode.InvalidArgument, "priority is 1001");
        await RefusedAsync(
            () => jobs.UpdateJobAsync(new UpdateJobRequest { JobId = waiting.Id }).ResponseAsync, StatusCode.InvalidArgument,
            "changes nothing");
        await RefusedAsync(
            () => _scheduler.Jobs(TestScheduler.OtherSubmitterToken).UpdateJobAsync(
                new UpdateJobRequest { JobId = waiting.Id, Priority = 1 }).ResponseAsync,
            StatusCode.PermissionDenied, "changing it needs the scope operator");
        (await jobs.GetJobAsync(new GetJobRequest { JobId = waiting.Id }, cancellationToken: Token)).Job.QueueName.ShouldBe("default");
    }

    private async Task CreateAsync(string name, Action<Queue>? configure = null)
    {
        var queue = new Queue { Name = name };
        configure?.Invoke(queue);
        await Operator.CreateQueueAsync(new CreateQueueRequest { Queue = queue });
    }

    private async Task DeleteAsync(string name) => await Operator.DeleteQueueAsync(new DeleteQueueRequest { Name = name });

    private async Task<IEnumerable<string>> NamesAsync() =>
        (await Viewer.ListQueuesAsync(new ListQueuesRequest())).Queues.Select(queue => queue.Queue.Name);

    private static async Task RefusedAsync(Func<Task> call, StatusCode code, string said)
    {
        var refusal = (await Should.ThrowAsync<RpcException>(call)).Status;
        (refusal.StatusCode, refusal.Detail).ShouldBe((code, refusal.Detail));
        refusal.Detail.ShouldContain(said);
    }
}
