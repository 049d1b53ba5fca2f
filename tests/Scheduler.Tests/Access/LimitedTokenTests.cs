using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>
/// Tokens that are limited to the workspace vision: one of alice, who has jobs there and elsewhere, and one of an operator.
/// </summary>
public sealed class LimitedTokenTests(PostgresServer postgres) : IAsyncLifetime
{
    private const string Inside = "vision";
    private const string Outside = "speech";
    private const string Limited = "alices-token-for-vision";
    private const string LimitedOperator = "olgas-token-for-vision";

    private static readonly string[] Ids = ["job_id", "experiment_id", "checkpoint_id"];

    /// <summary>What such a token may call that asks for nothing by an id; the tests below say what it is answered.</summary>
    private static readonly string[] WithoutAnId =
    [
        "AuditService/NoteForgery", // a line of the audit, which all share
        "CheckpointService/ImportCheckpoint", "ExperimentService/ListExperiments", "ExperimentService/SubmitExperiment",
        "ExperimentService/ValidateExperiment", "JobService/PreviewJob", "JobService/SubmitJob", "JobService/ValidateJob",
        "ModelService/DescribeModel", // of no workspace
        "NodeService/GetNode", "NodeService/ListNodes", // machines, which all share
        "QueueService/GetAccuracy", "QueueService/GetQueue", "QueueService/ListQueues", "ReportService/GetDeviceHours",
        "RunService/ListRuns", "WebhookService/CreateWebhook", "WebhookService/DeleteWebhook", "WebhookService/ListWebhooks",
        "WebhookService/TestWebhook", "WorkspaceService/ListWorkspaces",
    ];

    private static readonly MethodDescriptor[] PeoplesRpcs =
        [.. RequiredScope.Services().SelectMany(service => service.Methods)
            .Where(method => RequiredScope.Of(method) is Scope.Viewer or Scope.Submitter)];

    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _scheduler = await TestScheduler.StartAsync(postgres);
        await _scheduler.AddTokenAsync(Limited, "alice", Scope.Submitter, workspaces: [Inside]);
        await _scheduler.AddTokenAsync(LimitedOperator, "olga", Scope.Operator, workspaces: [Inside]);
    }

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public void EveryRpcOfPeople_AsksByAnId_OrIsListedHere() =>
        PeoplesRpcs.Where(method => IdOf(method) is null).Select(method => $"{method.Service.Name}/{method.Name}").Order()
            .ShouldBe(WithoutAnId.Order());

    [Theory]
    [InlineData(Limited)]
    [InlineData(LimitedOperator)]
    public async Task WhatLiesElsewhere_IsNotThere_ByAnyCall(string token)
    {
        var (experiment, trainers) = await _scheduler.RunExperimentAsync("node-a", workspace: Outside);
        var ids = new Dictionary<string, string>
        {
            ["job_id"] = trainers[0].Job,
            ["experiment_id"] = experiment,
            ["checkpoint_id"] = await AddCheckpointAsync(trainers[0].Job),
        };
        var wrong = new List<string>();

        foreach (var method in PeoplesRpcs.Where(method => IdOf(method) is not null))
        {
            var request = method.InputType.Parser.ParseFrom([]);
            IdOf(method)!.Accessor.SetValue(request, ids[IdOf(method)!.Name]);
            if (request is UpdateJobRequest update)
                update.Priority = 1;
            if (await CallAsync(token, method, request) is not StatusCode.NotFound and var status)
                wrong.Add($"{method.FullName} gives {status}");
        }

        wrong.ShouldBeEmpty();
        // Without a limit it is the owner's.
        (await _scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = trainers[0].Job })).Job.State.ShouldBe(JobState.Running);
    }

    [Theory]
    [InlineData(Limited)]
    [InlineData(LimitedOperator)]
    public async Task WhatLiesInside_IsThere_AndNothingElseIsInLists(string token)
    {
        var inside = await _scheduler.RunExperimentAsync("node-a", workspace: Inside);
        var outside = await _scheduler.RunExperimentAsync("node-b", workspace: Outside);
        var (job, weights) = (inside.Trainers[0].Job, await AddCheckpointAsync(inside.Trainers[0].Job));
        await AddCheckpointAsync(outside.Trainers[0].Job);
        await AddCheckpointAsync(null);
        foreach (var workspace in new[] { Inside, Outside })
            await _scheduler.Workspaces().CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = workspace });
        foreach (var workspace in new[] { Inside, Outside })
        {
            await _scheduler.Workspaces().SetMemberAsync(new SetMemberRequest
            {
                Name = workspace,
                Member = new WorkspaceMember { Owner = token == Limited ? "alice" : "olga", Role = Scope.Operator },
            });
        }

        (await _scheduler.Jobs(token).ListJobsAsync(new ListJobsRequest())).Jobs.Select(each => each.Id).ShouldBe([job]);
        (await _scheduler.Jobs(token).ListJobsAsync(new ListJobsRequest { Workspace = Outside })).Jobs.ShouldBeEmpty();
        (await _scheduler.Runs(token).ListRunsAsync(new ListRunsRequest())).Runs.Select(run => run.JobId).ShouldBe([job]);
        (await _scheduler.Runs(token).ListCheckpointsAsync(new ListCheckpointsRequest())).Checkpoints.Select(each => each.Id)
            .ShouldBe([weights]);
        (await _scheduler.Experiments(token).ListExperimentsAsync(new ListExperimentsRequest())).Experiments.Select(each => each.Id)
            .ShouldBe([inside.Id]);
        (await _scheduler.Workspaces(token).ListWorkspacesAsync(new ListWorkspacesRequest())).Workspaces.Select(each => each.Name)
            .ShouldBe([Inside]);
        var queue = (await new QueueService.QueueServiceClient(_scheduler.As(token))
            .GetQueueAsync(new GetQueueRequest { Name = "default" })).Queue;
        (queue.WaitingJobs, queue.RunningJobs, queue.Used.Single().Devices).ShouldBe((0, 1, 2), "devices are everybody's to share");
        (await new ReportService.ReportServiceClient(_scheduler.As(token)).GetDeviceHoursAsync(new GetDeviceHoursRequest()))
            .Rows.ShouldHaveSingleItem().Jobs.ShouldBe(1);
        (await _scheduler.Jobs(token).CancelJobAsync(new CancelJobRequest { JobId = job })).Job.Id.ShouldBe(job);
    }

    [Fact]
    public async Task SubmitsIntoItsWorkspacesOnly_AndFromThere()
    {
        var elsewhere = await _scheduler.SubmitWaitingAsync(Outside);
        var (jobs, experiments) = (_scheduler.Jobs(Limited), _scheduler.Experiments(Limited));
        var outside = JobSpecBuilder.AJob().With(spec => spec.Workspace = Outside).Build();
        const string Yaml = "model: lenet5\ndata: fashion-mnist\nworkspace: speech\nmatrix: {seed: [1, 2]}\n";

        (await _scheduler.SubmitWaitingAsync(Inside, Limited)).Owner.ShouldBe("alice");
        foreach (var call in new Func<Task>[]
        {
            () => _scheduler.SubmitWaitingAsync(Outside, Limited),
            () => _scheduler.SubmitWaitingAsync("default", Limited),
            () => _scheduler.SubmitWaitingAsync(Outside, LimitedOperator),
            () => jobs.ValidateJobAsync(new ValidateJobRequest { Spec = outside }).ResponseAsync,
            () => jobs.PreviewJobAsync(new PreviewJobRequest { Spec = outside }).ResponseAsync,
            () => experiments.SubmitExperimentAsync(new SubmitExperimentRequest { RequestId = "one", Yaml = Yaml }).ResponseAsync,
            () => experiments.ValidateExperimentAsync(new ValidateExperimentRequest { Yaml = Yaml }).ResponseAsync,
        })
        {
            var refusal = await Should.ThrowAsync<RpcException>(call);
            refusal.StatusCode.ShouldBe(StatusCode.PermissionDenied);
            refusal.Status.Detail.ShouldContain("only for vision");
        }

        foreach (var change in new Action<JobSpec>[]
        {
            spec => spec.InitFrom = new InitFrom { Job = elsewhere.Id, Which = CheckpointChoice.Latest },
            spec => spec.After.Add(new Dependency { Job = elsewhere.Id, State = DependencyState.Ended }),
        })
        {
            var spec = JobSpecBuilder.AJob().With(each => each.Workspace = Inside).With(change).Build();
            (await Should.ThrowAsync<RpcException>(
                () => jobs.SubmitJobAsync(new SubmitJobRequest { RequestId = "from", Spec = spec }).ResponseAsync))
                .StatusCode.ShouldBe(StatusCode.NotFound);
        }
    }

    [Fact]
    public async Task RequestThatMadeAJobElsewhere_TellsNothingOfIt_ToALimitedToken()
    {
        var request = new SubmitJobRequest
        {
            RequestId = "again",
            Spec = JobSpecBuilder.AJob().With(spec => spec.Resources.NodeLabels["only"] = "nowhere").Build(),
            WaitForCapacity = true,
        };
        request.Spec.Workspace = Outside;
        var first = (await _scheduler.Jobs().SubmitJobAsync(request)).Job;
        request.Spec.Workspace = Inside;

        (await _scheduler.Jobs().SubmitJobAsync(request)).Job.Id.ShouldBe(first.Id);
        (await Should.ThrowAsync<RpcException>(() => _scheduler.Jobs(Limited).SubmitJobAsync(request).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.NotFound);
    }

    [Fact]
    public async Task WhatIsAboutTheWholeCluster_IsDenied()
    {
        var wrong = new List<string>();
        foreach (var method in RequiredScope.Services().SelectMany(service => service.Methods)
            .Where(method => RequiredScope.Of(method) is Scope.Operator or Scope.Admin))
        {
            var status = await CallAsync(LimitedOperator, method, method.InputType.Parser.ParseFrom([]));
            if (status != StatusCode.PermissionDenied)
                wrong.Add($"{method.FullName} gives {status}");
        }

        wrong.ShouldBeEmpty();
        var drain = new DrainNodeRequest { NodeId = "node-a" };
        (await Should.ThrowAsync<RpcException>(() => _scheduler.Nodes(LimitedOperator).DrainNodeAsync(drain).ResponseAsync))
            .Status.Detail.ShouldContain("limited to workspaces");
        using var import = _scheduler.Checkpoints(Limited).ImportCheckpoint();
        (await Should.ThrowAsync<RpcException>(async () => await import.ResponseAsync)).StatusCode.ShouldBe(StatusCode.PermissionDenied);
    }

    [Fact]
    public async Task Webhooks_AreThereOfItsWorkspacesOnly()
    {
        var (own, limited) = (Webhooks(TestScheduler.SubmitterToken), Webhooks(Limited));
        foreach (var workspace in new[] { Outside, "" })
        {
            await own.CreateWebhookAsync(Order($"hook{workspace}", workspace));
            (await Should.ThrowAsync<RpcException>(() => limited.CreateWebhookAsync(Order("other", workspace)).ResponseAsync))
                .StatusCode.ShouldBe(StatusCode.PermissionDenied);
            foreach (var call in new Func<Task>[]
            {
                () => limited.TestWebhookAsync(new TestWebhookRequest { Name = $"hook{workspace}" }).ResponseAsync,
                () => limited.DeleteWebhookAsync(new DeleteWebhookRequest { Name = $"hook{workspace}" }).ResponseAsync,
            })
            {
                (await Should.ThrowAsync<RpcException>(call)).StatusCode.ShouldBe(StatusCode.NotFound);
            }
        }

        await limited.CreateWebhookAsync(Order("inside", Inside));
        (await limited.ListWebhooksAsync(new ListWebhooksRequest())).Webhooks.Select(webhook => webhook.Name).ShouldBe(["inside"]);
        await limited.DeleteWebhookAsync(new DeleteWebhookRequest { Name = "inside" });
        (await own.ListWebhooksAsync(new ListWebhooksRequest())).Webhooks.Select(webhook => webhook.Name).ShouldBe(["hook", "hookspeech"]);

        WebhookService.WebhookServiceClient Webhooks(string token) => new(_scheduler.As(token));

        static CreateWebhookRequest Order(string name, string workspace) =>
            new() { Webhook = new Webhook { Name = name, Url = "https://example.com/", Workspace = workspace } };
    }

    [Fact]
    public async Task Limit_IsGivenWithTheToken_AndListedWithIt()
    {
        var made = await _scheduler.Tokens().CreateTokenAsync(
            new CreateTokenRequest { Name = "ci", Owner = "carla", Scope = Scope.Submitter, Workspaces = { Inside, Inside, Outside } });

        made.Token.Workspaces.ShouldBe([Inside, Outside]);
        (await _scheduler.Tokens().ListTokensAsync(new ListTokensRequest { Owner = "carla" })).Tokens.ShouldHaveSingleItem()
            .Workspaces.ShouldBe([Inside, Outside]);
        await _scheduler.SubmitWaitingAsync(Outside, made.Secret);
        await Should.ThrowAsync<RpcException>(() => _scheduler.SubmitWaitingAsync("default", made.Secret));
        await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(new ListAuditRequest { Who = "carla" })).Entries
            .Any(entry => (entry.Action, entry.Token, entry.Status) == ("JobService/SubmitJob", "ci", "PermissionDenied")));
    }

    [Theory]
    [InlineData(Scope.Admin, Inside, "scope is admin")]
    [InlineData(Scope.Viewer, "no name", "workspaces has 'no name'")]
    [InlineData(Scope.Viewer, "", "workspaces has ''")]
    public async Task Limit_ThatCannotBeMeant_IsRefused(Scope scope, string workspace, string problem)
    {
        var request = new CreateTokenRequest { Name = "ci", Owner = "carla", Scope = scope, Workspaces = { workspace } };

        var refusal = await Should.ThrowAsync<RpcException>(() => _scheduler.Tokens().CreateTokenAsync(request).ResponseAsync);

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldContain(problem);
    }

    private static FieldDescriptor? IdOf(MethodDescriptor method) =>
        Ids.Select(method.InputType.FindFieldByName).FirstOrDefault(field => field is not null);

    /// <summary>Weights, of a job or imported.</summary>
    private async Task<string> AddCheckpointAsync(string? job)
    {
        var id = $"{Guid.NewGuid()}";
        await _scheduler.ExecuteAsync(
            $"""
            insert into checkpoints (
                id, job_id, owner, attempt, step, epoch, bytes, manifest, created_at, kind, imported_model, imported_file)
            values ('{id}', {(job is null ? "null" : $"'{job}'")}, 'alice', 1, 1, 1, 0, '', now(), 'Weights',
                {(job is null ? "'{}'::jsonb, 'weights.safetensors'" : "null, null")})
            """);
        return id;
    }

    private async Task<StatusCode> CallAsync(string token, MethodDescriptor method, IMessage request)
    {
        try
        {
            await RawCall.MakeAsync(
                _scheduler.As(token), method, request.ToByteArray(), new CallOptions(cancellationToken: Token), mostAnswers: 1);
            return StatusCode.OK;
        }
        catch (RpcException refusal)
        {
            return refusal.StatusCode;
        }
    }
}
