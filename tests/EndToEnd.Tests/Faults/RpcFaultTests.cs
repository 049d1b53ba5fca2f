using System.Security.Cryptography;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Grpc.Core;
using Timestamp = Google.Protobuf.WellKnownTypes.Timestamp;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>A cluster whose every call between scheduler, agents and clients goes past <see cref="RpcFaults"/>.</summary>
public sealed class FaultyNetwork : IAsyncLifetime
{
    private const int AgentCount = 2;

    private RpcFaults[] _agents = [];
    private RpcFaults _scheduler = null!;

    public LocalCluster Cluster { get; private set; } = null!;

    internal PatientClient Client { get; private set; } = null!;

    /// <summary>Where the nodes look for data sets.</summary>
    public string DataRoot => Directory.CreateDirectory(Path.Combine(Cluster.State, "data")).FullName;

    internal RunBits Undisturbed { get; private set; } = null!;

    /// <summary>The job that has these bits.</summary>
    internal string UndisturbedJob { get; private set; } = "";

    private IEnumerable<RpcFaults> All => _agents.Append(_scheduler);

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        _scheduler = await RpcFaults.StartAsync(cancellationToken);
        _agents = await Task.WhenAll(Enumerable.Range(0, AgentCount).Select(_ => RpcFaults.StartAsync(cancellationToken)));
        Cluster = new LocalCluster { Workers = AgentCount, BeforeStart = ConfigureAsync };
        await Cluster.InitializeAsync();
        Client = new PatientClient(Cluster, _scheduler.Address);
        UndisturbedJob = await Client.SubmitAsync(RpcFaultTests.Job("undisturbed"), cancellationToken);
        await Client.SucceededAsync(UndisturbedJob, cancellationToken);
        Undisturbed = await RunBits.OfAsync(Client, UndisturbedJob, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        if (Cluster is not null)
            await Cluster.DisposeAsync();
        foreach (var proxy in All)
            await proxy.DisposeAsync();
    }

    internal void Arm(RpcFault fault, IReadOnlySet<string> methods)
    {
        foreach (var proxy in All)
            proxy.Arm(fault, methods);
    }

    internal IReadOnlyCollection<string> Struck => [.. All.SelectMany(proxy => proxy.Struck).Distinct()];

    private Task ConfigureAsync(LocalCluster cluster)
    {
        Cluster = cluster;
        _scheduler.Target = cluster.GrpcAddress;
        Directory.CreateSymbolicLink(Path.Combine(DataRoot, "fashion-mnist"), "/usr/share/datasets/fashion-mnist");
        for (var i = 0; i < AgentCount; i++)
        {
            var port = FreePorts.Take();
            _agents[i].Target = $"http://127.0.0.1:{port}";
            cluster.Configure(
                $"worker-{i + 1}", $"Agent__SchedulerAddress={_scheduler.Address}", $"Agent__ListenAddress=127.0.0.1:{port}",
                $"Agent__AdvertisePort={_agents[i].Port}", $"Agent__DataRoot={DataRoot}", "Agent__DataScanInterval=00:00:01");
        }

        return Task.CompletedTask;
    }
}

/// <summary>Whatever call is lost, half lost, late or made twice: nothing is lost or done twice by it.</summary>
public sealed class RpcFaultTests(FaultyNetwork network) : IClassFixture<FaultyNetwork>
{
    private static int _cases;

    // Those that a job lives by.
    private static readonly string[] OfJobs =
        [nameof(AgentService), nameof(AgentRegistryService), nameof(AttemptService), nameof(JobService)];

    private static readonly string[] Methods = PathsOf(OfJobs.Contains);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Each by itself, which takes long.</summary>
    public static TheoryData<string, RpcFault> EachMethodAndFault =>
        new(Methods.SelectMany(method => Enum.GetValues<RpcFault>().Select(fault => (method, fault))));

    internal static string Job(string name) => DisturbedJob.Yaml(name, epochs: 40, devices: 2);

    [Theory]
    [Trait("Round", "full")]
    [InlineData(RpcFault.BeforeDelivery)]
    [InlineData(RpcFault.AfterDelivery)]
    [InlineData(RpcFault.Delayed)]
    [InlineData(RpcFault.DeliveredTwice)]
    public Task EveryCall_ThatAFaultBefallsOnce_LosesNothing_AndLeavesTheBits(RpcFault fault) =>
        SufferAsync($"all-{fault}", fault, Methods.ToHashSet());

    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(EachMethodAndFault))]
    public Task OneCall_ThatAFaultBefalls_LosesNothing_AndLeavesTheBits(string method, RpcFault fault) =>
        SufferAsync($"{method.Split('/')[^1]}-{fault}", fault, new HashSet<string> { method });

    /// <summary>
    /// What people do beside jobs. Not twice: a request to drain a node that arrives when it was resumed is one to drain it.
    /// </summary>
    [Theory]
    [Trait("Round", "full")]
    [InlineData(RpcFault.BeforeDelivery)]
    [InlineData(RpcFault.AfterDelivery)]
    [InlineData(RpcFault.Delayed)]
    public async Task EveryOtherCall_ThatAFaultBefallsOnce_IsDoneWhenItIsMadeAgain(RpcFault fault)
    {
        // A node is removed once it is lost, and this cluster's are needed.
        var methods = PathsOf(service => !OfJobs.Contains(service))
            .Where(path => !path.EndsWith("/RemoveNode", StringComparison.Ordinal)).ToHashSet();
        network.Arm(fault, methods);

        await ManageQueueAsync($"queue-{fault}");
        await ManageNodeAsync();
        await ManageExperimentAsync($"experiment-{fault}");
        await ReadRunAsync();
        await ManageCheckpointAsync($"checkpoint-{fault}");
        await ManagePeopleAsync($"team-{fault}".ToLowerInvariant());
        await ManageWebhookAsync($"hook-{fault}".ToLowerInvariant());
        await ReadReportsAsync();

        methods.Except(network.Struck).ShouldBeEmpty("each is called");
        await Invariants.HoldAsync(network.Cluster, $"calls of people, {fault}", Cancelled);
    }

    private static string[] PathsOf(Func<string, bool> which) => [.. RpcFaults.Services
        .Where(service => which(service.Name)).SelectMany(service => service.Methods).Select(RpcFaults.PathOf)];

    private static async Task DoAsync<T>(Func<CallOptions, AsyncUnaryCall<T>> call, StatusCode doneBefore = StatusCode.OK)
    {
        try
        {
            await PatientClient.AskAsync(async options => await call(options), Cancelled);
        }
        catch (RpcException e) when (e.StatusCode == doneBefore)
        {
            // The first call was delivered, and its answer was not.
        }
    }

    private static Task<IReadOnlyList<T>> ReadAllAsync<T>(Func<CallOptions, AsyncServerStreamingCall<T>> begin) =>
        PatientClient.AskAsync<IReadOnlyList<T>>(async options =>
        {
            using var call = begin(options);
            return await call.ResponseStream.ReadAllAsync(Cancelled).ToListAsync(Cancelled);
        }, Cancelled);

    private async Task ManageQueueAsync(string name)
    {
        var queues = network.Client.Queues;
        var queue = new Queue { Name = name, Weight = 2 };
        await DoAsync(options => queues.CreateQueueAsync(new CreateQueueRequest { Queue = queue }, options), StatusCode.AlreadyExists);
        await DoAsync(options => queues.GetAccuracyAsync(new GetAccuracyRequest { Queue = name }, options));
        queue.Weight = 3;
        await DoAsync(options => queues.UpdateQueueAsync(new UpdateQueueRequest { Queue = queue }, options));
        var found = await PatientClient.AskAsync(
            async options => await queues.GetQueueAsync(new GetQueueRequest { Name = name }, options), Cancelled);
        found.Queue.Queue.Weight.ShouldBe(3);
        await DoAsync(options => queues.DeleteQueueAsync(new DeleteQueueRequest { Name = name }, options), StatusCode.NotFound);
        var left = await PatientClient.AskAsync(
            async options => await queues.ListQueuesAsync(new ListQueuesRequest(), options), Cancelled);
        left.Queues.ShouldNotContain(status => status.Queue.Name == name);
    }

    private async Task ManageNodeAsync()
    {
        var nodes = network.Client.Nodes;
        var all = await PatientClient.AskAsync(async options => await nodes.ListNodesAsync(new ListNodesRequest(), options), Cancelled);
        var id = all.Nodes[0].Id;
        await DoAsync(options => nodes.DrainNodeAsync(new DrainNodeRequest { NodeId = id, Reason = "a look at its fans" }, options));
        (await GetAsync()).Drain.ShouldNotBeNull();
        await DoAsync(options => nodes.ResumeNodeAsync(new ResumeNodeRequest { NodeId = id }, options));
        (await GetAsync()).Drain.ShouldBeNull();
        await DoAsync(options => nodes.EnrollNodeAsync(new EnrollNodeRequest { Name = "another" }, options));
        var lenet5 = new DescribeModelRequest { Model = new ModelSpec { Name = "lenet5" } };
        await DoAsync(options => network.Client.Models.DescribeModelAsync(lenet5, options));

        async Task<Node> GetAsync() => (await PatientClient.AskAsync(
            async options => await nodes.GetNodeAsync(new GetNodeRequest { NodeId = id }, options), Cancelled)).Node;
    }

    private async Task ManageExperimentAsync(string name)
    {
        var experiments = network.Client.Experiments;
        var yaml = $$"""
            name: {{name}}
            model: {name: lenet5}
            data: {name: fashion-mnist, trainSamples: 512, validationSamples: 128}
            searcher: {name: random, metric: validation/accuracy, maxTrials: 2, maxConcurrent: 1, seed: 1}
            hyperparameters:
              epochs: 1000
              optimizer: {learningRate: {type: log, minval: -3, maxval: -2} }
            """;
        await DoAsync(options => experiments.ValidateExperimentAsync(new ValidateExperimentRequest { Yaml = yaml }, options));
        var submit = new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml };
        var id = (await PatientClient.AskAsync(
            async options => await experiments.SubmitExperimentAsync(submit, options), Cancelled)).Experiment.Id;
        await DoAsync(options => experiments.LimitExperimentAsync(
            new LimitExperimentRequest { ExperimentId = id, MaxTrials = 1, MaxConcurrent = 1 }, options));
        await DoAsync(options => experiments.PauseExperimentAsync(new PauseExperimentRequest { ExperimentId = id }, options));
        (await GetAsync()).Experiment.Search.Phase.ShouldBe(SearchPhase.Paused);
        await DoAsync(options => experiments.ResumeExperimentAsync(new ResumeExperimentRequest { ExperimentId = id }, options));
        (await GetAsync()).Experiment.Search.Phase.ShouldBe(SearchPhase.Running);
        await DoAsync(options => experiments.CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = id }, options));
        await ReadAllAsync(options => experiments.WatchExperiment(new WatchExperimentRequest { ExperimentId = id }, options));
        var ended = await GetAsync();
        ended.Experiment.Search.Phase.ShouldBe(SearchPhase.Cancelled);
        ended.Jobs.ShouldAllBe(job => job.State == JobState.Cancelled);
        ended.Jobs.Count.ShouldBeLessThanOrEqualTo(1, "of two trials one is left");
        var all = await PatientClient.AskAsync(
            async options => await experiments.ListExperimentsAsync(new ListExperimentsRequest(), options), Cancelled);
        all.Experiments.Count(experiment => experiment.Name == name).ShouldBe(1);

        async Task<GetExperimentResponse> GetAsync() => await PatientClient.AskAsync(
            async options => await experiments.GetExperimentAsync(new GetExperimentRequest { ExperimentId = id }, options), Cancelled);
    }

    private async Task ReadRunAsync()
    {
        var (runs, job) = (network.Client.Runs, network.UndisturbedJob);
        await DoAsync(options => runs.ListRunsAsync(new ListRunsRequest(), options));
        await DoAsync(options => runs.GetRunAsync(new GetRunRequest { JobId = job }, options));
        (await ReadAllAsync(options => runs.StreamMetrics(new StreamMetricsRequest { JobId = job }, options)))
            .Sum(part => part.Points.Count).ShouldBeGreaterThan(0);
        var refusal = await Should.ThrowAsync<RpcException>(
            () => ReadAllAsync(options => runs.StreamPredictions(new StreamPredictionsRequest { JobId = job }, options)));
        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition, "it trains, and does not predict");
    }

    private async Task ManageCheckpointAsync(string name)
    {
        var (checkpoints, request) = (network.Client.Checkpoints, new ListCheckpointsRequest { JobId = network.UndisturbedJob });
        var first = (await PatientClient.AskAsync(
            async options => await network.Client.Runs.ListCheckpointsAsync(request, options), Cancelled)).Checkpoints[0];
        var described = await PatientClient.AskAsync(
            async options => await checkpoints.DescribeCheckpointAsync(
                new DescribeCheckpointRequest { CheckpointId = first.Id }, options), Cancelled);
        var file = described.Manifest.Files[0];
        var parts = await ReadAllAsync(options => checkpoints.DownloadFile(
            new DownloadFileRequest { CheckpointId = first.Id, File = file.Name }, options));
        var bytes = parts.SelectMany(part => part.Data).ToArray();
        bytes.Length.ShouldBe((int)file.Bytes);
        var imported = (await PatientClient.AskAsync(options => ImportAsync(options, name, bytes), Cancelled)).Checkpoint.Id;
        await DoAsync(options => checkpoints.DeleteCheckpointAsync(
            new DeleteCheckpointRequest { CheckpointId = imported }, options), StatusCode.NotFound);
        var all = new ListCheckpointsRequest { Limit = 1000 };
        var left = await PatientClient.AskAsync(async options => await network.Client.Runs.ListCheckpointsAsync(all, options), Cancelled);
        left.Checkpoints.ShouldNotContain(checkpoint => checkpoint.Id == imported);
    }

    private async Task ManagePeopleAsync(string name)
    {
        var (tokens, workspaces) = (network.Client.Tokens, network.Client.Workspaces);
        var create = new CreateTokenRequest { Name = name, Owner = name, Scope = Scope.Submitter };
        var token = (await PatientClient.AskAsync(async options => await tokens.CreateTokenAsync(create, options), Cancelled)).Token;
        await DoAsync(options => tokens.RevokeTokenAsync(new RevokeTokenRequest { TokenId = token.Id }, options));
        var all = await PatientClient.AskAsync(
            async options => await tokens.ListTokensAsync(new ListTokensRequest { Owner = name }, options), Cancelled);
        all.Tokens.Single(each => each.Id == token.Id).RevokedAt.ShouldNotBeNull();

        await DoAsync(
            options => workspaces.CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = name }, options), StatusCode.AlreadyExists);
        var member = new WorkspaceMember { Owner = name, Role = Scope.Viewer };
        await DoAsync(options => workspaces.SetMemberAsync(new SetMemberRequest { Name = name, Member = member }, options));
        (await FindAsync())!.Members.ShouldHaveSingleItem().Role.ShouldBe(Scope.Viewer);
        await DoAsync(
            options => workspaces.RemoveMemberAsync(new RemoveMemberRequest { Name = name, Owner = name }, options), StatusCode.NotFound);
        (await FindAsync())!.Members.ShouldBeEmpty();
        await DoAsync(options => workspaces.OpenWorkspaceAsync(new OpenWorkspaceRequest { Name = name }, options), StatusCode.NotFound);
        (await FindAsync()).ShouldBeNull();

        async Task<Workspace?> FindAsync() => (await PatientClient.AskAsync(
            async options => await workspaces.ListWorkspacesAsync(new ListWorkspacesRequest(), options), Cancelled))
            .Workspaces.SingleOrDefault(workspace => workspace.Name == name);
    }

    private async Task ManageWebhookAsync(string name)
    {
        var webhooks = network.Client.Webhooks;
        var webhook = new Webhook { Name = name, Url = "https://127.0.0.1/nobody-is-called", States = { JobState.Failed } };
        await DoAsync(
            options => webhooks.CreateWebhookAsync(new CreateWebhookRequest { Webhook = webhook }, options), StatusCode.AlreadyExists);
        var tested = await PatientClient.AskAsync(
            async options => await webhooks.TestWebhookAsync(new TestWebhookRequest { Name = name }, options), Cancelled);
        tested.Delivered.ShouldBeFalse();
        (await ListAsync()).ShouldContain(each => each.Name == name);
        await DoAsync(options => webhooks.DeleteWebhookAsync(new DeleteWebhookRequest { Name = name }, options), StatusCode.NotFound);
        (await ListAsync()).ShouldNotContain(each => each.Name == name);

        async Task<IReadOnlyList<Webhook>> ListAsync() => (await PatientClient.AskAsync(
            async options => await webhooks.ListWebhooksAsync(new ListWebhooksRequest(), options), Cancelled)).Webhooks;
    }

    private async Task ReadReportsAsync()
    {
        var (audit, job) = (network.Client.Audit, network.UndisturbedJob);
        await DoAsync(options => audit.NoteForgeryAsync(new NoteForgeryRequest { Request = "POST /jobs", Origin = "null" }, options));
        var entries = await PatientClient.AskAsync(
            async options => await audit.ListAuditAsync(new ListAuditRequest { PageSize = 1000 }, options), Cancelled);
        entries.Entries.ShouldContain(entry => entry.Action.EndsWith("/SubmitJob", StringComparison.Ordinal));
        await DoAsync(options => network.Client.Data.SampleJobAsync(new SampleJobRequest { JobId = job, Count = 1 }, options));
        var hours = await PatientClient.AskAsync(async options => await network.Client.Reports.GetDeviceHoursAsync(
            new GetDeviceHoursRequest
            {
                Begin = Timestamp.FromDateTime(DateTime.UtcNow.AddHours(-1)),
                End = Timestamp.FromDateTime(DateTime.UtcNow),
            }, options), Cancelled);
        hours.Rows.ShouldNotBeEmpty();
    }

    private async Task<ImportCheckpointResponse> ImportAsync(CallOptions options, string name, byte[] file)
    {
        using var call = network.Client.Checkpoints.ImportCheckpoint(options);
        var announced = new ImportedFile { Name = name, Bytes = file.Length, Model = new ModelSpec { Name = "lenet5" } };
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest { File = announced }, Cancelled);
        var chunk = new PutChunksRequest { Sha256 = ByteString.CopyFrom(SHA256.HashData(file)), Data = ByteString.CopyFrom(file) };
        await call.RequestStream.WriteAsync(new ImportCheckpointRequest { Chunk = chunk }, Cancelled);
        await call.RequestStream.CompleteAsync();
        return await call.ResponseAsync;
    }

    private Task WatchOnceAsync(string job) => PatientClient.AskAsync(async options =>
    {
        using var call = network.Client.Jobs.WatchJob(new WatchJobRequest { JobId = job }, options);
        return await call.ResponseStream.MoveNext(Cancelled);
    }, Cancelled);

    private Task ReadLogAsync(string job) => PatientClient.AskAsync(async options =>
    {
        using var call = network.Client.Jobs.StreamLogs(new StreamLogsRequest { JobId = job }, options);
        var lines = 0;
        while (await call.ResponseStream.MoveNext(Cancelled))
            lines += call.ResponseStream.Current.Lines.Count;
        return lines;
    }, Cancelled);

    /// <summary>The life of two jobs, in which every method is called: one whose trainer is killed, and one paused and cancelled.</summary>
    private async Task SufferAsync(string name, RpcFault fault, IReadOnlySet<string> methods)
    {
        var client = network.Client;
        network.Arm(fault, methods);
        // It registers anew, and offers a data set that has come.
        await Processes.KillAsync(network.Cluster.ProcessId("worker-2"), Cancelled);
        await network.Cluster.UpAsync(Cancelled);
        foreach (var part in (string[])["train", "val"])
        {
            var pictures = Directory.CreateDirectory(Path.Combine(network.DataRoot, name, part, "class"));
            await File.WriteAllTextAsync(Path.Combine(pictures.FullName, "0.png"), "never opened", Cancelled);
        }

        // A batch of another size than any before, so that a node is asked about it.
        var batchSize = 66 + (2 * Interlocked.Increment(ref _cases));
        var other = DisturbedJob.Yaml($"{name}-cancelled", epochs: 1000, devices: 2, batchSize);
        await PatientClient.AskAsync(
            async options => await client.Jobs.ValidateJobAsync(new ValidateJobRequest { Yaml = other }, options), Cancelled);
        await PatientClient.AskAsync(
            async options => await client.Jobs.PreviewJobAsync(new PreviewJobRequest { Yaml = other }, options), Cancelled);
        var cancelled = await client.SubmitAsync(other, Cancelled);
        await client.UntilAsync(cancelled, job => job.State == JobState.Running, Cancelled);
        await PatientClient.AskAsync(
            async options => await client.Jobs.PauseJobAsync(new PauseJobRequest { JobId = cancelled }, options), Cancelled);
        await client.UntilAsync(cancelled, job => job.State == JobState.Paused, Cancelled);
        var change = new UpdateJobRequest { JobId = cancelled, Priority = 1 };
        await PatientClient.AskAsync(async options => await client.Jobs.UpdateJobAsync(change, options), Cancelled);
        await PatientClient.AskAsync(
            async options => await client.Jobs.ResumeJobAsync(new ResumeJobRequest { JobId = cancelled }, options), Cancelled);
        await PatientClient.AskAsync(
            async options => await client.Jobs.CancelJobAsync(new CancelJobRequest { JobId = cancelled }, options), Cancelled);
        await client.UntilAsync(cancelled, job => job.State == JobState.Cancelled, Cancelled);

        var killed = await client.SubmitAsync(Job($"{name}-killed"), Cancelled);
        await client.UntilAsync(killed, job => job.Progress?.Step > 20, Cancelled);
        Processes.Signal(Processes.TrainersOf(killed)[0], Processes.Kill);
        await WatchOnceAsync(killed);
        await client.SucceededAsync(killed, Cancelled);
        await PatientClient.AskAsync(async options => await client.Jobs.ListJobsAsync(new ListJobsRequest(), options), Cancelled);
        await ReadLogAsync(killed);
        await Eventually.BeTrueAsync(
            () => methods.IsSubsetOf(network.Struck), () => $"{string.Join(", ", methods.Except(network.Struck))} is called", Cancelled);

        (await client.GetAsync(killed, Cancelled)).Restarts.ShouldBe(1, "the killed trainer costs one, and the fault none");
        await Invariants.HoldAsync(network.Cluster, name, Cancelled);
        await Invariants.KnowsAsync(network.Cluster, [cancelled, killed], $"{name}-", Cancelled);
        (await RunBits.OfAsync(client, killed, Cancelled)).ShouldBe(network.Undisturbed, name);
    }
}
