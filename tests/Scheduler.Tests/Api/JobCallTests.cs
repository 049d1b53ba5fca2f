using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Finding, listing and cancelling.</summary>
[Collection(typeof(ApiTests))]
public sealed class JobCallTests(SharedScheduler shared)
{
    private TestScheduler Scheduler => shared.Scheduler;

    private JobService.JobServiceClient Viewer => Scheduler.Jobs(TestScheduler.ViewerToken);

    [Fact]
    public async Task Job_IsFoundByAPrefixOfItsId_InAnyCase_UnlessSeveralBeginSo()
    {
        var job = await Scheduler.SubmitWaitingAsync();
        // Ids follow from a hash, so a second one with the same beginning is written by hand.
        var twin = job.Id[..30] + (job.Id[30] == '0' ? '1' : '0') + job.Id[31..];
        await Scheduler.ExecuteAsync(
            $"create temp table t as select * from jobs where id = '{job.Id}'; update t set id = '{twin}', request_id = 'twin {twin}', "
                + "state = 'Cancelled'; insert into jobs select * from t");

        (await GetAsync(job.Id[..31].ToUpperInvariant())).ShouldBe(job.Id);
        (await GetAsync(job.Id.Replace("-", "", StringComparison.Ordinal))).ShouldBe(job.Id);
        await RefusedAsync(job.Id[..30], StatusCode.InvalidArgument, "several");
        await RefusedAsync(Guid.NewGuid().ToString(), StatusCode.NotFound, "no job");
        await RefusedAsync("abc", StatusCode.InvalidArgument, "job_id is 'abc'");
        await RefusedAsync("", StatusCode.InvalidArgument, "job_id is ''");
        await RefusedAsync("my-job", StatusCode.InvalidArgument, "hexadecimal");

        async Task<string> GetAsync(string id) => (await Viewer.GetJobAsync(new GetJobRequest { JobId = id })).Job.Id;

        async Task RefusedAsync(string id, StatusCode status, string said)
        {
            var refusal = await Should.ThrowAsync<RpcException>(() => GetAsync(id));
            refusal.StatusCode.ShouldBe(status);
            refusal.Status.Detail.ShouldContain(said);
        }
    }

    [Fact]
    public async Task List_GoesThroughAllInPages_NewestFirst()
    {
        var submitted = new List<string>();
        for (var job = 0; job < 5; job++)
            submitted.Insert(0, (await Scheduler.SubmitWaitingAsync("paged")).Id);

        var listed = new List<string>();
        var request = new ListJobsRequest { Workspace = "paged", PageSize = 2 };
        var pages = 0;
        do
        {
            var page = await Viewer.ListJobsAsync(request);
            listed.AddRange(page.Jobs.Select(job => job.Id));
            request.PageToken = page.NextPageToken;
            pages++;
        }
        while (request.PageToken.Length > 0);

        listed.ShouldBe(submitted);
        pages.ShouldBe(3);
        (await Viewer.ListJobsAsync(new ListJobsRequest { Workspace = "paged", States = { JobState.Running } })).Jobs.ShouldBeEmpty();
    }

    [Fact]
    public async Task List_WithAPageTokenOrSizeOrWorkspaceThatCannotBe_IsInvalid()
    {
        await RefusedAsync(new ListJobsRequest { PageToken = "next" }, "page_token is 'next'");
        await RefusedAsync(new ListJobsRequest { PageSize = -1 }, "page_size is -1");
        await RefusedAsync(new ListJobsRequest { Workspace = "a\0b" }, "workspace");
        (await Should.ThrowAsync<RpcException>(
            async () => await Scheduler.Runs().ListRunsAsync(new ListRunsRequest { PageToken = "next" })))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);

        async Task RefusedAsync(ListJobsRequest request, string said)
        {
            var refusal = await Should.ThrowAsync<RpcException>(async () => await Viewer.ListJobsAsync(request));
            refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
            refusal.Status.Detail.ShouldContain(said);
        }
    }

    [Fact]
    public async Task Cancel_OfAnothersJob_NeedsAnOperator_AndIsIdempotent()
    {
        var job = await Scheduler.SubmitWaitingAsync();

        var refusal = await Should.ThrowAsync<RpcException>(async () => await CancelAsync(TestScheduler.OtherSubmitterToken));
        refusal.StatusCode.ShouldBe(StatusCode.PermissionDenied);
        refusal.Status.Detail.ShouldContain("belongs to alice");
        (await CancelAsync(TestScheduler.OperatorToken)).State.ShouldBe(JobState.Cancelled);
        (await CancelAsync(TestScheduler.SubmitterToken)).Reason.ShouldBe("cancelled by olga: enough");

        async Task<Job> CancelAsync(string token) =>
            (await Scheduler.Jobs(token).CancelJobAsync(new CancelJobRequest { JobId = job.Id, Reason = "enough" })).Job;
    }

    [Fact]
    public async Task Cancel_OfOnesOwnJob_NeedsNoOperator_ButAReasonOnOneLine()
    {
        var job = await Scheduler.SubmitWaitingAsync();

        (await Should.ThrowAsync<RpcException>(
            async () => await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id, Reason = "a\nb" })))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);
        (await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id })).Job.State.ShouldBe(JobState.Cancelled);
    }

    [Fact]
    public async Task PauseAndResume_OfAnothersJob_NeedAnOperator_AndAreIdempotent()
    {
        var job = await Scheduler.SubmitWaitingAsync();
        var (pause, resume) = (new PauseJobRequest { JobId = job.Id, Reason = "not now" }, new ResumeJobRequest { JobId = job.Id });
        var stranger = Scheduler.Jobs(TestScheduler.OtherSubmitterToken);

        foreach (var refusal in new[]
        {
            await Should.ThrowAsync<RpcException>(async () => await stranger.PauseJobAsync(pause)),
            await Should.ThrowAsync<RpcException>(async () => await stranger.ResumeJobAsync(resume)),
        })
        {
            refusal.StatusCode.ShouldBe(StatusCode.PermissionDenied);
            refusal.Status.Detail.ShouldContain("belongs to alice");
        }

        var paused = (await Scheduler.Jobs(TestScheduler.OperatorToken).PauseJobAsync(pause)).Job;
        (paused.State, paused.Reason).ShouldBe((JobState.Paused, "paused by olga: not now"));
        (await Scheduler.Jobs().PauseJobAsync(pause)).Job.Reason.ShouldBe("paused by olga: not now");
        (await Scheduler.Jobs().ResumeJobAsync(resume)).Job.State.ShouldBe(JobState.Queued);
        (await Scheduler.Jobs().ResumeJobAsync(resume)).Job.State.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task PauseAndResume_OfAJobThatIsOver_AreToldSo_AndAReasonIsOnOneLine()
    {
        var job = await Scheduler.SubmitWaitingAsync();
        (await Should.ThrowAsync<RpcException>(
            async () => await Scheduler.Jobs().PauseJobAsync(new PauseJobRequest { JobId = job.Id, Reason = "a\nb" })))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);
        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        foreach (var refusal in new[]
        {
            await Should.ThrowAsync<RpcException>(
                async () => await Scheduler.Jobs().PauseJobAsync(new PauseJobRequest { JobId = job.Id })),
            await Should.ThrowAsync<RpcException>(
                async () => await Scheduler.Jobs().ResumeJobAsync(new ResumeJobRequest { JobId = job.Id })),
        })
        {
            refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
            refusal.Status.Detail.ShouldStartWith($"job {job.Id} is cancelled (cancelled by alice); only a job that is not over");
        }
    }

    [Fact]
    public async Task Node_IsFoundByNameAndByPrefixOfItsId_UnlessSeveralAreMeant()
    {
        var first = await Scheduler.AddNodeAsync("twin-node", devices: 2);
        var second = await Scheduler.AddNodeAsync("twin-node");
        var single = await Scheduler.AddNodeAsync("single-node");

        (await GetAsync("single-node")).Id.ShouldBe(single.NodeId);
        (await GetAsync(first.NodeId[..13].ToUpperInvariant())).Devices.Count.ShouldBe(2);
        (await GetAsync(second.NodeId)).Name.ShouldBe("twin-node");
        (await Should.ThrowAsync<RpcException>(() => GetAsync("twin-node"))).StatusCode.ShouldBe(StatusCode.InvalidArgument);
        (await Should.ThrowAsync<RpcException>(() => GetAsync(""))).StatusCode.ShouldBe(StatusCode.InvalidArgument);
        (await Should.ThrowAsync<RpcException>(() => GetAsync("no-node"))).StatusCode.ShouldBe(StatusCode.NotFound);
        (await Scheduler.Nodes().ListNodesAsync(new ListNodesRequest())).Nodes.Count(node => node.Name == "twin-node").ShouldBe(2);

        async Task<Node> GetAsync(string id) => (await Scheduler.Nodes().GetNodeAsync(new GetNodeRequest { NodeId = id })).Node;
    }

    [Fact]
    public async Task Agent_WhoseDevicesShareAnId_OrWhoseFiguresAreNone_IsToldSo()
    {
        var node = await Scheduler.AddNodeAsync("odd-node");
        var twice = node.Clone();
        twice.Devices.Add(node.Devices[0]);
        var heartbeat = new HeartbeatRequest { NodeId = node.NodeId, Incarnation = node.Incarnation };
        var nonsense = heartbeat.Clone();
        nonsense.Devices.Add(new DeviceMeasurement { Device = "cpu:0", Utilization = double.NaN });

        (await Should.ThrowAsync<RpcException>(async () => await Scheduler.Registry().RegisterAsync(twice)))
            .Status.Detail.ShouldContain("cpu:0");
        (await Should.ThrowAsync<RpcException>(async () => await Scheduler.Registry().HeartbeatAsync(nonsense)))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);
        // Stored together with what other nodes say, they would take that along.
        foreach (var unstorable in new[]
        {
            new HeartbeatRequest { NodeId = node.NodeId, Incarnation = "\0" },
            new HeartbeatRequest(heartbeat) { Devices = { new DeviceMeasurement { Device = "\0" } } },
        })
        {
            (await Should.ThrowAsync<RpcException>(async () => await Scheduler.Registry().HeartbeatAsync(unstorable)))
                .StatusCode.ShouldBe(StatusCode.InvalidArgument);
        }

        await Scheduler.Registry().HeartbeatAsync(heartbeat);
    }
}
