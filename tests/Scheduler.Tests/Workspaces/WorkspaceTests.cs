using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Workspaces;

/// <summary>
/// A workspace that is closed: alice submits into it, vera is a member who looks, bob is none, olga operates the cluster.
/// </summary>
public sealed class WorkspaceTests(PostgresServer postgres) : IAsyncLifetime
{
    private const string Closed = "vision";
    private const string ChiefToken = "chief-operates-the-workspace";

    private TestScheduler _scheduler = null!;

    public async ValueTask InitializeAsync()
    {
        _scheduler = await TestScheduler.StartAsync(postgres);
        await _scheduler.AddTokenAsync(ChiefToken, "chief", Scope.Submitter);
        await _scheduler.Workspaces().CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = Closed });
        await SetAsync("vera", Scope.Viewer);
        await SetAsync("alice", Scope.Submitter);
        await SetAsync("chief", Scope.Operator);
    }

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public async Task ClosedWorkspacesJobs_AreInTheListsOfItsMembersAndOperators_AndNoOthers()
    {
        var hidden = await _scheduler.SubmitWaitingAsync(Closed);
        var open = await _scheduler.SubmitWaitingAsync("anything");

        foreach (var token in new[] { TestScheduler.SubmitterToken, TestScheduler.ViewerToken, TestScheduler.OperatorToken, ChiefToken })
        {
            (await JobsAsync(token)).ShouldBe([open.Id, hidden.Id]);
            (await RunsAsync(token)).ShouldBe([open.Id, hidden.Id]);
        }

        (await JobsAsync(TestScheduler.OtherSubmitterToken)).ShouldBe([open.Id]);
        (await RunsAsync(TestScheduler.OtherSubmitterToken)).ShouldBe([open.Id]);
    }

    [Fact]
    public async Task ClosedWorkspacesJob_IsNotThere_ToWhoIsNoMember_ByAnyCall()
    {
        var (experiment, trainers) = await RunExperimentAsync();
        var job = trainers[0].Job;
        const string Bob = TestScheduler.OtherSubmitterToken;
        var (jobs, runs, experiments) = (_scheduler.Jobs(Bob), _scheduler.Runs(Bob), _scheduler.Experiments(Bob));

        foreach (var call in new Func<Task>[]
        {
            () => jobs.GetJobAsync(new GetJobRequest { JobId = job }).ResponseAsync,
            () => jobs.CancelJobAsync(new CancelJobRequest { JobId = job }).ResponseAsync,
            () => jobs.PauseJobAsync(new PauseJobRequest { JobId = job }).ResponseAsync,
            () => jobs.ResumeJobAsync(new ResumeJobRequest { JobId = job }).ResponseAsync,
            () => jobs.UpdateJobAsync(new UpdateJobRequest { JobId = job, Priority = 1 }).ResponseAsync,
            () => jobs.WatchJob(new WatchJobRequest { JobId = job }).ResponseStream.MoveNext(default),
            () => jobs.StreamLogs(new StreamLogsRequest { JobId = job }).ResponseStream.MoveNext(default),
            () => runs.GetRunAsync(new GetRunRequest { JobId = job }).ResponseAsync,
            () => runs.StreamMetrics(new StreamMetricsRequest { JobId = job }).ResponseStream.MoveNext(default),
            () => runs.StreamPredictions(new StreamPredictionsRequest { JobId = job }).ResponseStream.MoveNext(default),
            () => runs.ListCheckpointsAsync(new ListCheckpointsRequest { JobId = job }).ResponseAsync,
            () => jobs.ListJobsAsync(new ListJobsRequest { ExperimentId = experiment }).ResponseAsync,
            () => experiments.GetExperimentAsync(new GetExperimentRequest { ExperimentId = experiment }).ResponseAsync,
            () => experiments.CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = experiment }).ResponseAsync,
            () => experiments.WatchExperiment(new WatchExperimentRequest { ExperimentId = experiment }).ResponseStream.MoveNext(default),
            () => SubmitAsync(Bob, "anything", spec => spec.InitFrom = new InitFrom { Job = job, Which = CheckpointChoice.Latest }),
            () => SubmitAsync(Bob, "anything", spec => spec.After.Add(new Dependency { Job = job, State = DependencyState.Ended })),
        })
        {
            (await Should.ThrowAsync<RpcException>(call)).StatusCode.ShouldBe(StatusCode.NotFound);
        }

        (await experiments.ListExperimentsAsync(new ListExperimentsRequest())).Experiments.ShouldBeEmpty();
        (await _scheduler.Experiments().ListExperimentsAsync(new ListExperimentsRequest())).Experiments.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task ClosedWorkspacesWeights_AreNotThere_ToWhoIsNoMember()
    {
        var (_, trainers) = await RunExperimentAsync();
        await _scheduler.ExecuteAsync(
            $"""
            insert into checkpoints (id, job_id, owner, attempt, step, epoch, bytes, manifest, created_at, kind)
            select gen_random_uuid(), id, owner, 1, 1, 1, 0, '', now(), 'Weights' from jobs where id = '{trainers[0].Job}'
            """);
        var id = $"{await _scheduler.QueryAsync("select id from checkpoints")}";
        var all = new ListCheckpointsRequest();

        (await _scheduler.Runs(TestScheduler.ViewerToken).ListCheckpointsAsync(all)).Checkpoints.ShouldHaveSingleItem();
        (await _scheduler.Runs(TestScheduler.OtherSubmitterToken).ListCheckpointsAsync(all)).Checkpoints.ShouldBeEmpty();
        var checkpoints = _scheduler.Checkpoints(TestScheduler.OtherSubmitterToken);
        foreach (var call in new Func<Task>[]
        {
            () => checkpoints.DescribeCheckpointAsync(new DescribeCheckpointRequest { CheckpointId = id }).ResponseAsync,
            () => checkpoints.DownloadFile(new DownloadFileRequest { CheckpointId = id, File = "x" }).ResponseStream.MoveNext(default),
            () => checkpoints.DeleteCheckpointAsync(new DeleteCheckpointRequest { CheckpointId = id }).ResponseAsync,
            () => SubmitAsync(
                TestScheduler.OtherSubmitterToken, "anything", spec => spec.InitFrom = new InitFrom { Checkpoint = id }),
        })
        {
            (await Should.ThrowAsync<RpcException>(call)).StatusCode.ShouldBe(StatusCode.NotFound);
        }
    }

    [Fact]
    public async Task ClosedWorkspacesJobs_CountInNoReportAndNoQueue_OfWhoIsNoMember()
    {
        await RunExperimentAsync();
        await _scheduler.SubmitWaitingAsync(Closed);

        foreach (var (token, rows, running, waiting) in new[]
        {
            (TestScheduler.ViewerToken, 1, 1, 1), (TestScheduler.OperatorToken, 1, 1, 1), (TestScheduler.OtherSubmitterToken, 0, 0, 0),
        })
        {
            var report = await new ReportService.ReportServiceClient(_scheduler.As(token)).GetDeviceHoursAsync(new GetDeviceHoursRequest());
            report.Rows.Count.ShouldBe(rows, token);
            // That the device was busy everybody sees, and not by whom.
            var capacity = report.Capacity.ShouldHaveSingleItem();
            capacity.IdleHours.ShouldBeLessThan(capacity.Hours);
            var queues = new QueueService.QueueServiceClient(_scheduler.As(token));
            foreach (var queue in new[]
            {
                (await queues.GetQueueAsync(new GetQueueRequest { Name = "default" })).Queue,
                (await queues.ListQueuesAsync(new ListQueuesRequest())).Queues.ShouldHaveSingleItem(),
            })
            {
                (queue.RunningJobs, queue.WaitingJobs).ShouldBe((running, waiting), token);
                queue.Used.ShouldHaveSingleItem().Devices.ShouldBe(1, token);
            }
        }
    }

    [Fact]
    public async Task ForecastsOfClosedWorkspacesJobs_AreNotInTheAccuracy_OfWhoIsNoMember()
    {
        var (_, trainers) = await RunExperimentAsync();
        await _scheduler.ExecuteAsync(
            $"""
            insert into start_predictions (job_id, queue, predicted_at, likely, late)
            values ('{trainers[0].Job}', 'default', now(), now(), now()) on conflict do nothing
            """);

        (await AccuracyAsync(TestScheduler.ViewerToken)).ShouldBe(1);
        (await AccuracyAsync(TestScheduler.OtherSubmitterToken)).ShouldBe(0);

        async Task<int> AccuracyAsync(string token) => (await new QueueService.QueueServiceClient(_scheduler.As(token))
            .GetAccuracyAsync(new GetAccuracyRequest())).Jobs;
    }

    [Fact]
    public async Task ClosedWorkspace_TakesJobsOfItsSubmitters_AndItsOperatorsChangeThem()
    {
        var job = await _scheduler.SubmitWaitingAsync(Closed);
        await DeniedAsync("bob may not submit into it", () => _scheduler.SubmitWaitingAsync(Closed, TestScheduler.OtherSubmitterToken));
        await SetAsync("bob", Scope.Viewer);
        await DeniedAsync("bob may not submit into it", () => _scheduler.SubmitWaitingAsync(Closed, TestScheduler.OtherSubmitterToken));
        await DeniedAsync("belongs to alice", () => _scheduler.Jobs(TestScheduler.OtherSubmitterToken)
            .CancelJobAsync(new CancelJobRequest { JobId = job.Id }).ResponseAsync);

        (await _scheduler.Jobs(ChiefToken).CancelJobAsync(new CancelJobRequest { JobId = job.Id })).Job.State.ShouldBe(JobState.Cancelled);
        // Of that workspace only.
        var other = await _scheduler.SubmitWaitingAsync("anything");
        await DeniedAsync("belongs to alice", () => _scheduler.Jobs(ChiefToken)
            .CancelJobAsync(new CancelJobRequest { JobId = other.Id }).ResponseAsync);
    }

    [Fact]
    public async Task WhoIsNoMemberAnyMore_KeepsTheirOwnJobs()
    {
        var job = await _scheduler.SubmitWaitingAsync(Closed);

        await _scheduler.Workspaces().RemoveMemberAsync(new RemoveMemberRequest { Name = Closed, Owner = "alice" });

        (await JobsAsync(TestScheduler.SubmitterToken)).ShouldBe([job.Id]);
        (await _scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id })).Job.State.ShouldBe(JobState.Cancelled);
    }

    [Fact]
    public async Task PriorityAndQueue_BeyondAMembersLimits_AreRefused_AtSubmitAndLater()
    {
        await _scheduler.Workspaces().SetMemberAsync(new SetMemberRequest
        {
            Name = Closed,
            Member = new WorkspaceMember { Owner = "alice", Role = Scope.Submitter, HighestPriority = 5, Queues = { "default" } },
        });
        var job = await SubmitAsync(TestScheduler.SubmitterToken, Closed, spec => spec.Priority = 5);

        await DeniedAsync("may give 5 at most", () => SubmitAsync(TestScheduler.SubmitterToken, Closed, spec => spec.Priority = 6));
        await DeniedAsync("may use default only", () => SubmitAsync(TestScheduler.SubmitterToken, Closed, spec => spec.Queue = "urgent"));
        await DeniedAsync("may give 5 at most", () => _scheduler.Jobs()
            .UpdateJobAsync(new UpdateJobRequest { JobId = job.Id, Priority = 6 }).ResponseAsync);
        await DeniedAsync("may use default only", () => _scheduler.Jobs()
            .UpdateJobAsync(new UpdateJobRequest { JobId = job.Id, Queue = "urgent" }).ResponseAsync);
        (await _scheduler.Jobs().UpdateJobAsync(new UpdateJobRequest { JobId = job.Id, Priority = 4 })).Job.Priority.ShouldBe(4);
        (await _scheduler.Jobs(TestScheduler.OperatorToken).UpdateJobAsync(new UpdateJobRequest { JobId = job.Id, Priority = 9 }))
            .Job.Priority.ShouldBe(9);
    }

    /// <summary>Its later trials are made when nobody asks any more.</summary>
    [Theory]
    [InlineData("priority: {type: categorical, vals: [5, 6]}", "may give 5 at most")]
    [InlineData("priority: {type: int, minval: 0, maxval: 900, count: 2}", "may give 5 at most")]
    [InlineData("queue: {type: categorical, vals: [default, urgent]}", "may use default only")]
    [InlineData("matrix: {queue: [default, urgent]}", "may use default only")]
    public async Task Search_ThatWouldComeToAskForMoreThanAMemberMay_IsRefused_AndNoted(string setting, string problem)
    {
        await _scheduler.Workspaces().SetMemberAsync(new SetMemberRequest
        {
            Name = Closed,
            Member = new WorkspaceMember { Owner = "alice", Role = Scope.Submitter, HighestPriority = 5, Queues = { "default" } },
        });
        var search = Search(Closed, setting);

        await DeniedAsync(problem, () => _scheduler.Experiments().SubmitExperimentAsync(search).ResponseAsync);
        await DeniedAsync(problem, () => _scheduler.Experiments()
            .ValidateExperimentAsync(new ValidateExperimentRequest { Yaml = search.Yaml }).ResponseAsync);

        (await _scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(0L);
        var refused = new ListAuditRequest { Who = "alice", Action = "ExperimentService/SubmitExperiment", Status = "PermissionDenied" };
        await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(refused)).Entries.Count == 1);
    }

    [Fact]
    public async Task Search_ThatWouldComeToBeginWithHiddenWeights_IsNotFoundThem()
    {
        var (_, trainers) = await RunExperimentAsync();
        var open = await _scheduler.SubmitWaitingAsync("anything");
        var search = Search("anything", $"initFrom: {{job: {{type: categorical, vals: [{open.Id}, {trainers[0].Job}]}}, which: latest}}");

        (await Should.ThrowAsync<RpcException>(() => _scheduler.Experiments(TestScheduler.OtherSubmitterToken)
            .SubmitExperimentAsync(search).ResponseAsync)).StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task Workspaces_AreListedToTheirMembers_AndOpenedAgain()
    {
        var hidden = await _scheduler.SubmitWaitingAsync(Closed);
        (await ListedAsync(TestScheduler.AdminToken)).ShouldHaveSingleItem().Members.Select(member => (member.Owner, member.Role))
            .ShouldBe([("alice", Scope.Submitter), ("chief", Scope.Operator), ("vera", Scope.Viewer)]);
        (await ListedAsync(TestScheduler.ViewerToken)).ShouldHaveSingleItem().Name.ShouldBe(Closed);
        (await ListedAsync(TestScheduler.OtherSubmitterToken)).ShouldBeEmpty();

        await _scheduler.Workspaces().OpenWorkspaceAsync(new OpenWorkspaceRequest { Name = Closed });

        (await JobsAsync(TestScheduler.OtherSubmitterToken)).ShouldBe([hidden.Id]);
        (await Should.ThrowAsync<RpcException>(() => SetAsync("bob", Scope.Viewer))).StatusCode.ShouldBe(StatusCode.NotFound);

        async Task<IEnumerable<Workspace>> ListedAsync(string token) =>
            (await _scheduler.Workspaces(token).ListWorkspacesAsync(new ListWorkspacesRequest())).Workspaces;
    }

    /// <summary>Of one trial at a time.</summary>
    private static SubmitExperimentRequest Search(string workspace, string setting) => new()
    {
        RequestId = $"{Guid.NewGuid()}",
        Yaml = $$"""
            model: lenet5
            data: {name: fashion-mnist, validationSamples: 512}
            workspace: {{workspace}}
            resources: {devices: 1, deviceKind: cpu, nodeLabels: {only: nowhere} }
            searcher: {name: grid, maxConcurrent: 1}
            {{setting}}
            """,
        WaitForCapacity = true,
    };

    private static async Task DeniedAsync(string problem, Func<Task> call)
    {
        var refusal = await Should.ThrowAsync<RpcException>(call);
        refusal.StatusCode.ShouldBe(StatusCode.PermissionDenied, refusal.Status.Detail);
        refusal.Status.Detail.ShouldContain(problem);
    }

    private Task SetAsync(string owner, Scope role) => _scheduler.Workspaces().SetMemberAsync(
        new SetMemberRequest { Name = Closed, Member = new WorkspaceMember { Owner = owner, Role = role } }).ResponseAsync;

    private async Task<IEnumerable<string>> JobsAsync(string token) =>
        (await _scheduler.Jobs(token).ListJobsAsync(new ListJobsRequest())).Jobs.Select(job => job.Id);

    private async Task<IEnumerable<string>> RunsAsync(string token) =>
        (await _scheduler.Runs(token).ListRunsAsync(new ListRunsRequest())).Runs.Select(run => run.JobId);

    private async Task<Job> SubmitAsync(string token, string workspace, Action<JobSpec> change)
    {
        var spec = JobSpecBuilder.AJob().With(s => s.Workspace = workspace).With(s => s.Resources.NodeLabels["only"] = "nowhere")
            .With(change).Build();
        var request = new SubmitJobRequest { RequestId = $"{Guid.NewGuid()}", Spec = spec, WaitForCapacity = true };
        return (await _scheduler.Jobs(token).SubmitJobAsync(request)).Job;
    }

    /// <summary>Of alice's, in the closed workspace.</summary>
    private Task<(string Id, IReadOnlyList<TestTrainer> Trainers)> RunExperimentAsync() =>
        _scheduler.RunExperimentAsync("node-a", workspace: Closed);
}
