using Cluster.Contracts.V1;
using Cluster.Tests.Shared;

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

    private IEnumerable<RpcFaults> All => _agents.Append(_scheduler);

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        _scheduler = await RpcFaults.StartAsync(cancellationToken);
        _agents = await Task.WhenAll(Enumerable.Range(0, AgentCount).Select(_ => RpcFaults.StartAsync(cancellationToken)));
        Cluster = new LocalCluster { Workers = AgentCount, BeforeStart = ConfigureAsync };
        await Cluster.InitializeAsync();
        Client = new PatientClient(Cluster, _scheduler.Address);
        var job = await Client.SubmitAsync(RpcFaultTests.Job("undisturbed"), cancellationToken);
        await Client.SucceededAsync(job, cancellationToken);
        Undisturbed = await RunBits.OfAsync(Client, job, cancellationToken);
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

    private static readonly string[] Methods = [.. RpcFaults.Services.SelectMany(service => service.Methods).Select(RpcFaults.PathOf)];

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
