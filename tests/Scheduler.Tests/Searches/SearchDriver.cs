using System.Collections.ObjectModel;
using Cluster.Contracts;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Ranks;
using Cluster.Scheduler.Searches;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Scheduler.Tests.Searches;

/// <summary>Submits a search and trains its trials, as nodes with enough devices would.</summary>
internal sealed class SearchDriver(TestCluster cluster, TestNode node)
{
    public const string Asha = "{name: asha, maxTrials: 9, maxConcurrent: 3, maxRungs: 3, divisor: 3}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ExperimentId Id { get; private set; }

    public static string Yaml(string searcher, string queue = "default") =>
        $$"""
        name: search
        queue: {{queue}}
        model: lenet5
        data: {name: fashion-mnist, validationSamples: 512}
        searcher: {{searcher}}
        restarts: {maxRestarts: 0}
        hyperparameters:
          epochs: 9
          optimizer: {learningRate: {type: log, minval: -4, maxval: -1} }
        """;

    public SearchDriver ConnectedTo(TestCluster other) => new(other, node.ConnectedTo(other)) { Id = Id };

    public Task RegisterAsync() => node.RegisterAsync();

    public async Task SubmitAsync(string searcher = Asha, string? requestId = null, string queue = "default")
    {
        var yaml = Yaml(searcher, queue);
        Id = await cluster.Get<SearchCommands>().SubmitAsync(
            ExperimentFile.Parse(yaml), yaml, "alice", requestId ?? Guid.NewGuid().ToString(), waitForCapacity: true, Token);
    }

    /// <summary>By their numbers.</summary>
    public async Task<IReadOnlyList<Job>> TrialsAsync() => (await GetAsync()).Jobs;

    public async Task<StoredExperiment> GetAsync() =>
        await cluster.Get<ExperimentStore>().GetAsync(Id, ReadOnlyDictionary<string, Job>.Empty, Token)
        ?? throw new InvalidOperationException($"no experiment {Id}");

    public async Task<SearchStanding> StandingAsync() => (await GetAsync()).Experiment.Search;

    public Task PassAsync() => cluster.Get<SearchSteps>().PassAsync(Token);

    /// <summary>Trains a trial to where it was launched to, and lets it say how well it validates there.</summary>
    /// <returns>The length, in epochs.</returns>
    public async Task<int> TrainAsync(int trial, double accuracy)
    {
        var (job, attempt) = await BeginAsync(trial);
        var launched = cluster.Agents.Launches.Last(l => l.Request.JobId == job.ToString() && l.Request.Attempt == attempt).Request;
        var point = new MetricPoint
        {
            Name = MetricNames.ValidationAccuracy,
            Epoch = launched.TrainUntil,
            Step = 10 * launched.TrainUntil,
            Time = cluster.Time.GetUtcNow().ToTimestamp(),
            Value = accuracy,
        };
        await cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, attempt), new ReportRequest { Sequence = 2, Points = { point } }, Token);
        await node.ExitAsync(job, attempt, 0, TrainerExit.Done);
        return launched.TrainUntil;
    }

    /// <summary>Ends a trial without a word about how well it does.</summary>
    /// <param name="step">Of the last step that it tells of; 0: it did not come to its first.</param>
    public async Task EndAsync(int trial, int exitCode, int step = 0)
    {
        var (job, attempt) = await BeginAsync(trial);
        await cluster.Get<AttemptReports>().ReportAsync(
            cluster.Credential(job, attempt), new ReportRequest { Sequence = 2, Progress = new Progress { Step = step } }, Token);
        await node.ExitAsync(job, attempt, 0, exitCode);
    }

    /// <summary>What memory trials take is not asked for here.</summary>
    public Task ForecastAsync() => TestDatabase.ExecuteAsync(
        cluster, "update job_queue set forecast_until = null, next_due_at = null where state = 'Queued' and forecast_until is not null");

    private async Task<(JobId Job, int Attempt)> BeginAsync(int trial)
    {
        await ForecastAsync();
        var job = JobId.Parse((await TrialsAsync())[trial].Id);
        return (job, await cluster.RunAsync(job));
    }
}
