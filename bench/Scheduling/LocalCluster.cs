using System.Collections.Concurrent;
using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.Bench.Scheduling;

/// <summary>
/// What <c>./cluster up</c> starts, with a state folder and ports of its own: Postgres, a scheduler, and agents of two nodes, whose one
/// device is free on the one and taken on the other. Instead of trainers they start processes that say when they began.
/// </summary>
internal sealed class LocalCluster : IContestant, IAsyncDisposable
{
    public const int Clients = 16;

    private const string Root = "CLUSTER_ROOT";

    private readonly string _root;
    private readonly string _state = Directory.CreateTempSubdirectory("cluster-bench-ours-").FullName;
    private readonly Dictionary<string, string> _environment;
    private readonly TrainerStarts _starts = new();
    private readonly List<GrpcChannel> _channels = [];
    private CallOptions _options;

    private LocalCluster()
    {
        _root = Environment.GetEnvironmentVariable(Root)
            ?? throw new InvalidOperationException($"{Root} is not set; run this by ./cluster bench, which sets it");
        _environment = new Dictionary<string, string>
        {
            ["CLUSTER_PREBUILT"] = "1",
            ["CLUSTER_STATE"] = _state,
            ["CLUSTER_GRPC_PORT"] = $"{FreePorts.Take()}",
            ["CLUSTER_HTTP_PORT"] = $"{FreePorts.Take()}",
            ["CLUSTER_REST_PORT"] = $"{FreePorts.Take()}",
            ["CLUSTER_SILO_PORT"] = $"{FreePorts.Take()}",
            // The process that keeps a device taken never says that it trains.
            ["Jobs__StartDeadline"] = "1.00:00:00",
            ["Agent__ShutdownGrace"] = "00:00:00",
        };
    }

    private string Worker => Path.Combine(_root, "artifacts/bin/Worker/release/Cluster.Worker");

    /// <exception cref="InvalidOperationException">It cannot be started; the message has what it said.</exception>
    public static async Task<LocalCluster> StartAsync(CancellationToken cancellationToken)
    {
        var cluster = new LocalCluster();
        try
        {
            await cluster.UpAsync(cancellationToken);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<double> SubmitRateAsync(int jobs, int clients, CancellationToken cancellationToken)
    {
        var began = UnixTime.Now();
        var submitted = await SubmitAsync(jobs, clients, cancellationToken);
        var rate = jobs / (UnixTime.Now() - began);
        await CancelAsync(submitted, cancellationToken);
        return rate;
    }

    /// <summary>Submits jobs for the device that is taken, and leaves them.</summary>
    /// <returns>Their ids.</returns>
    public async Task<IReadOnlyCollection<string>> SubmitAsync(int jobs, int clients, CancellationToken cancellationToken)
    {
        var submitted = new ConcurrentBag<string>();
        var left = jobs;
        await Task.WhenAll(_channels.Take(clients).Select(async channel =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
                submitted.Add((await SubmitAsync(channel, JobTexts.Busy, cancellationToken)).Id);
        }));
        return submitted;
    }

    /// <inheritdoc/>
    public async Task<double> StartDelayAsync(CancellationToken cancellationToken)
    {
        var began = UnixTime.Now();
        var job = await SubmitAsync(_channels[0], JobTexts.Idle, cancellationToken);
        var started = await _starts.OfAsync(job.Id, cancellationToken);
        var state = await WatchAsync(job.Id, state => state.IsFinal(), cancellationToken);
        return state == JobState.Succeeded ? started - began : throw new InvalidOperationException($"job {job.Id} has become {state}");
    }

    public Task CancelAsync(IReadOnlyCollection<string> jobs, CancellationToken cancellationToken) => EachClientAsync(
        jobs,
        (channel, job) => new JobService.JobServiceClient(channel).CancelJobAsync(
            new CancelJobRequest { JobId = job }, _options.WithCancellationToken(cancellationToken)).ResponseAsync);

    /// <summary>Submits jobs, in experiments, for the device that is taken, and leaves them.</summary>
    public Task LetWaitAsync(int jobs, CancellationToken cancellationToken) => EachClientAsync(
        Enumerable.Range(0, jobs / JobTexts.JobsOfAnExperiment),
        (channel, _) => new ExperimentService.ExperimentServiceClient(channel).SubmitExperimentAsync(
            new SubmitExperimentRequest { RequestId = $"{Guid.NewGuid()}", Yaml = JobTexts.Experiment(JobTexts.Busy) },
            _options.WithCancellationToken(cancellationToken)).ResponseAsync);

    public async Task<StoreReads> ReadsAsync(CancellationToken cancellationToken) =>
        StoreReads.Parse(await SqlAsync(StoreReads.Query, cancellationToken));

    public RunService.RunServiceClient Runs => new(_channels[0]);

    /// <summary>What calls carry.</summary>
    public CallOptions Options(CancellationToken cancellationToken) => _options.WithCancellationToken(cancellationToken);

    /// <summary>Of its Postgres.</summary>
    public async Task<string> ConnectionStringAsync(CancellationToken cancellationToken) =>
        (await ScriptAsync(new Dictionary<string, string>(), "pg_connection", cancellationToken)).Trim();

    /// <summary>What a commit waits for, and which Postgres that is.</summary>
    public async Task<string> StoreAsync(CancellationToken cancellationToken)
    {
        string[] settings = ["server_version", "fsync", "synchronous_commit", "wal_sync_method"];
        var values = await SqlAsync(
            $"select {string.Join(", ", settings.Select(setting => $"current_setting('{setting}')"))}", cancellationToken);
        return string.Join(", ", settings.Zip(values.Trim().Split('|'), (setting, value) => $"{setting} {value}"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var channel in _channels)
            channel.Dispose();
        await RunAsync(CancellationToken.None, Path.Combine(_root, "cluster"), "down", "--wipe");
        _starts.Dispose();
    }

    private async Task UpAsync(CancellationToken cancellationToken)
    {
        await RunAsync(
            AgentOf(JobTexts.Idle, $"{_starts.Port}"), cancellationToken, Path.Combine(_root, "cluster"), "up", "--workers", "1");
        await ScriptAsync(
            AgentOf(JobTexts.Busy, Scripts.Hold),
            $"""
            start_service worker-2 Worker "Agent__SchedulerAddress=$(cat "$state/server")" "Agent__NodeTokenFile=$state/node-token" \
              Agent__Name=worker-2 "Agent__StateFolder=$state/worker-2" Agent__CpuSlots=1
            wait_for "the second worker" worker-2 nodes_are_ready 2
            """,
            cancellationToken);
        var address = (await File.ReadAllTextAsync(Path.Combine(_state, "server"), cancellationToken)).Trim();
        var token = (await File.ReadAllTextAsync(Path.Combine(_state, "token"), cancellationToken)).Trim();
        _options = new CallOptions(new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(token) } });
        // A connection of its own for each client.
        for (var client = 0; client < Clients; client++)
        {
            var connection = new SocketsHttpHandler { UseProxy = false };
            _channels.Add(GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = connection, DisposeHttpClient = true }));
        }

        var holder = await SubmitAsync(_channels[0], JobTexts.Busy, cancellationToken);
        await WatchAsync(holder.Id, state => state == JobState.Starting, cancellationToken);
    }

    /// <summary>Settings for the agents that are started with them.</summary>
    private Dictionary<string, string> AgentOf(string pool, string port)
    {
        var settings = Scripts.StandIn(port, Worker).Index().ToDictionary(
            argument => string.Create(CultureInfo.InvariantCulture, $"Agent__TrainerCommand__{argument.Index}"), argument => argument.Item);
        settings[$"Agent__Labels__{JobTexts.Label}"] = pool;
        return settings;
    }

    private async Task<Job> SubmitAsync(GrpcChannel channel, string pool, CancellationToken cancellationToken) =>
        (await new JobService.JobServiceClient(channel).SubmitJobAsync(
            new SubmitJobRequest { RequestId = $"{Guid.NewGuid()}", Yaml = JobTexts.Job(pool) },
            _options.WithCancellationToken(cancellationToken))).Job;

    private async Task<JobState> WatchAsync(string job, Func<JobState, bool> wanted, CancellationToken cancellationToken)
    {
        using var watch = new JobService.JobServiceClient(_channels[0]).WatchJob(
            new WatchJobRequest { JobId = job }, _options.WithCancellationToken(cancellationToken));
        await foreach (var message in watch.ResponseStream.ReadAllAsync(cancellationToken))
        {
            if (wanted(message.Job.State))
                return message.Job.State;
        }

        throw new InvalidOperationException($"the watch over job {job} has ended too early");
    }

    /// <summary>Calls for each of them, from all clients at once.</summary>
    private async Task EachClientAsync<T>(IEnumerable<T> items, Func<GrpcChannel, T, Task> call)
    {
        var left = new ConcurrentQueue<T>(items);
        await Task.WhenAll(_channels.Select(async channel =>
        {
            while (left.TryDequeue(out var item))
                await call(channel, item);
        }));
    }

    public Task<string> SqlAsync(string query, CancellationToken cancellationToken) => ScriptAsync(
        new Dictionary<string, string>(),
        $"\"$pg_bin/psql\" -h \"$pg_socket\" -U cluster -d cluster --no-psqlrc --tuples-only --no-align -c \"{query}\"",
        cancellationToken);

    /// <summary>With the functions and variables of <c>deploy/local</c>.</summary>
    private Task<string> ScriptAsync(IReadOnlyDictionary<string, string> settings, string script, CancellationToken cancellationToken) =>
        RunAsync(
            settings, cancellationToken, "/bin/bash", "-euc",
            $"""
            root=$1 state=$CLUSTER_STATE
            for part in messages build postgres services; do source "$root/deploy/local/$part.sh"; done
            {script}
            """,
            "bench", _root);

    private Task<string> RunAsync(CancellationToken cancellationToken, params IReadOnlyList<string> command) =>
        RunAsync(new Dictionary<string, string>(), cancellationToken, command);

    private Task<string> RunAsync(
        IReadOnlyDictionary<string, string> settings, CancellationToken cancellationToken, params IReadOnlyList<string> command) =>
        Shell.RunAsync(_environment.Concat(settings).ToDictionary(), cancellationToken, command);
}
