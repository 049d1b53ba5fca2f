using System.Net;
using System.Net.Sockets;
using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>
/// A cluster of three schedulers on one database and two workers. The first scheduler, to which agents and clients go as long as they can,
/// has a cable to each of the others, to the database and to who calls it.
/// </summary>
public sealed class ThreeSchedulers : IAsyncLifetime
{
    private const int Count = 3;

    // Longer than what befalls them takes to begin.
    private const int Epochs = 40;

    private readonly List<Cable> _cables = [];
    private readonly Dictionary<int, RunBits> _undisturbed = [];

    public TimeSpan Lease { get; } = TimeSpan.FromSeconds(5);

    public LocalCluster Cluster { get; private set; } = null!;

    internal PatientClient Client { get; private set; } = null!;

    internal DeviceWatch Devices { get; } = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Cluster = new LocalCluster { Schedulers = Count, Lease = Lease, BeforeStart = ConnectAsync };
        await Cluster.InitializeAsync();
        Client = new PatientClient(Cluster, AddressesBeyondCables());
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        await Devices.DisposeAsync();
        if (Cluster is not null)
            await Cluster.DisposeAsync();
        foreach (var cable in _cables)
            await cable.DisposeAsync();
    }

    /// <summary>Another client; each goes to another scheduler first.</summary>
    internal PatientClient NewClient(int number)
    {
        var addresses = AddressesBeyondCables().Split(',');
        return new PatientClient(
            Cluster, string.Join(',', addresses.Skip(number % Count).Concat(addresses.Take(number % Count))));
    }

    /// <summary>No word goes from the first scheduler to any other part, nor back.</summary>
    public async Task CutOffFirstAsync()
    {
        foreach (var cable in _cables)
            await cable.CutAsync(Cancelled);
    }

    public void Mend() => _cables.ForEach(cable => cable.Mend());

    /// <summary>The others have declared it dead.</summary>
    public Task IsTakenForDeadAsync(int scheduler)
    {
        // Orleans' word for dead is 6.
        var port = SiloPortAsToldToOthers(scheduler);
        var query = $"select status from orleans_members where port = {port} order by generation desc limit 1";
        return Eventually.BeTrueAsync(
            () => Cluster.QueryAsync(query, Cancelled).Result.SingleOrDefault() == "6", $"scheduler {scheduler} is taken for dead",
            Cancelled);
    }

    /// <summary>A job that is met in mid-run, after one that nothing disturbs has shown what it must give.</summary>
    public async Task<string> StartAsync(string name, int devices)
    {
        if (!_undisturbed.ContainsKey(devices))
            _undisturbed[devices] = await RunUndisturbedAsync(devices);
        var job = await Client.SubmitAsync(DisturbedJob.Yaml(name, Epochs, devices), Cancelled);
        await Client.UntilAsync(job, now => now.State == JobState.Running, Cancelled);
        return job;
    }

    /// <summary>It succeeds, with the bits of one that nothing disturbed, and all that is stored is as it must be.</summary>
    public async Task<Job> EndsUndisturbedAsync(string job)
    {
        var done = await Client.SucceededAsync(job, Cancelled);
        var bits = await RunBits.OfAsync(Client, job, Cancelled);
        bits.ShouldBe(_undisturbed[done.Placement.Count], done.Spec.Name);
        await Invariants.HoldAsync(Cluster, done.Spec.Name, Cancelled);
        Devices.Collisions.ShouldBeEmpty(done.Spec.Name);
        return done;
    }

    private async Task<RunBits> RunUndisturbedAsync(int devices)
    {
        var job = await Client.SubmitAsync(DisturbedJob.Yaml($"undisturbed-{devices}", Epochs, devices), Cancelled);
        (await Client.SucceededAsync(job, Cancelled)).Attempt.ShouldBe(1);
        return await RunBits.OfAsync(Client, job, Cancelled);
    }

    private async Task ConnectAsync(LocalCluster cluster)
    {
        Cluster = cluster;
        DeviceWatch.Mark(cluster);
        // Of the first to the others, told by whose connections they are; of the others to it, whosesoever.
        for (var scheduler = 1; scheduler <= Count; scheduler++)
        {
            Func<int, bool>? isOfFirst =
                scheduler == 1 ? null : port => Processes.IsOwnPort(cluster.ProcessId("scheduler"), port);
            _cables.Add(new Cable(Loopback(0), Loopback(cluster.SiloPort(scheduler)), isOfFirst));
            cluster.Configure(LocalCluster.Scheduler(scheduler), $"Silo__AdvertisedPort={_cables[^1].Port}");
        }

        var settings = (await cluster.PostgresAsync("pg_connection", Cancelled)).Output;
        var socket = settings.Split(';').Single(setting => setting.StartsWith("Host=", StringComparison.Ordinal))["Host=".Length..];
        const string socketName = ".s.PGSQL.5432";
        _cables.Add(new Cable(
            new UnixDomainSocketEndPoint(Path.Combine(cluster.State, socketName)),
            new UnixDomainSocketEndPoint(Path.Combine(socket, socketName))));
        var cabled = settings.Replace(socket, cluster.State, StringComparison.Ordinal);
        cluster.Configure(LocalCluster.Scheduler(1), $"Persistence__ConnectionString={cabled}");
        _cables.Add(new Cable(Loopback(0), Loopback(cluster.GrpcPort(1))));
        for (var worker = 1; worker <= cluster.Workers; worker++)
        {
            cluster.Configure(
                $"worker-{worker}", $"Agent__SchedulerAddress={AddressesBeyondCables()}", $"Agent__Labels__only=worker-{worker}");
        }
    }

    private int SiloPortAsToldToOthers(int scheduler) => _cables[scheduler - 1].Port;

    private string AddressesBeyondCables() => string.Join(',', Enumerable.Range(2, Count - 1).Select(Cluster.GrpcPort)
        .Prepend(_cables[^1].Port).Select(port => $"http://127.0.0.1:{port}"));

    private static IPEndPoint Loopback(int port) => new(IPAddress.Loopback, port);
}

/// <summary>They share one such cluster, and leave it as they found it.</summary>
[CollectionDefinition]
public sealed class FaultTests : ICollectionFixture<ThreeSchedulers>;
