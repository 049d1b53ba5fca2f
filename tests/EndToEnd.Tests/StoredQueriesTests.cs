using System.Text.Json.Nodes;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;
using Cluster.EndToEnd.Tests.Telemetry;
using Cluster.Tests.Shared;

namespace Cluster.EndToEnd.Tests;

/// <summary>
/// The dashboards and alerts of deploy/telemetry ask for what the programs send: by Debian's Prometheus, of a farm on which one job was
/// preempted, one succeeded, one failed and two reached the end of their time.
/// </summary>
/// <remarks>
/// Between the programs and Prometheus stands the collector of these tests: the real one, Prometheus 3 and Grafana are not in Debian. Of an
/// alert each side of its comparison is asked; that it fires where it should is shown with made-up series by alerts.tests.yaml.
/// </remarks>
[Trait("Round", "full")]
public sealed class StoredQueriesTests(ObservedCluster observed) : IClassFixture<ObservedCluster>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private Prometheus Prometheus
    {
        get
        {
            Assert.SkipWhen(observed.Prometheus is null, "prometheus is not installed");
            return observed.Prometheus;
        }
    }

    [Fact]
    public async Task EveryPanel_ShowsSomething()
    {
        var panels = StoredQueries.OfPanels().ToList();

        panels.Count.ShouldBeGreaterThan(40);
        await EachAnswersAsync(panels.Select(panel => (panel.Where, panel.Query)));
    }

    [Fact]
    public async Task EveryList_HasSomethingToChoose()
    {
        foreach (var (where, series, label) in StoredQueries.OfLists())
            (await Prometheus.LabelValuesAsync(series, label, Cancelled)).ShouldNotBeEmpty($"{where}: {series}, {label}");
    }

    [Fact]
    public async Task EveryAlert_ComparesWhatThereIs()
    {
        var alerts = await Prometheus.AlertsAsync(Cancelled);
        var queries = StoredQueries.OfAlerts().ToList();

        queries.Select(query => query.Alert).Distinct().ShouldBe(alerts.Select(alert => alert.Name));
        await EachAnswersAsync(queries);
    }

    [Fact]
    public async Task LossNotFinite_FiresForTheJobThatDiverged()
    {
        IReadOnlyList<(string Name, string Health, IReadOnlyList<JsonNode> Firing)> alerts = [];
        await Eventually.BeTrueAsync(
            async () => (alerts = await Prometheus.AlertsAsync(Cancelled)).Any(alert => alert.Firing.Count > 0),
            () => "an alert fires", Cancelled);

        alerts.ShouldAllBe(alert => alert.Health == "ok");
        var labels = alerts.Single(alert => alert.Name == "LossNotFinite").Firing.ShouldHaveSingleItem();
        ((string)labels["cluster_job_id"]!).ShouldBe(observed.Diverged);
    }

    /// <summary>From a point of a step's time to the span of a step, in the trace of a job's submit.</summary>
    [Fact]
    public async Task Exemplars_LeadFromMetricsToTraces()
    {
        foreach (var (where, query, _) in StoredQueries.OfPanels().Where(panel => panel.Exemplars))
            (await Prometheus.ExemplarsAsync(query, Cancelled)).ShouldNotBeEmpty($"{where}: {query}");

        var (trace, span) = (await Prometheus.ExemplarsAsync("training_step_duration_seconds_bucket", Cancelled))[0];
        var spans = observed.Cluster.Collector.Spans;
        await Eventually.BeTrueAsync(() => spans.Any(sent => Hex(sent.Span.SpanId) == span), "the exemplar's span arrives", Cancelled);
        var step = spans.First(sent => Hex(sent.Span.SpanId) == span).Span;
        (step.Name, Hex(step.TraceId)).ShouldBe(("training.step", trace));
        spans.ShouldContain(sent => Hex(sent.Span.TraceId) == trace && sent.Span.Name == "cluster.v1.JobService/SubmitJob");
    }

    [Theory]
    [InlineData("sum(a{state=\"x\"}) > 0", "sum(a{state=\"x\"})", "0")]
    [InlineData("max by (q) (a) > 3600 and on () sum(b{s=\"free\"}) > 0", "max by (q) (a)", "3600", "sum(b{s=\"free\"})", "0")]
    [InlineData("a / b > 1.5 * (c > 2)", "a / b", "1.5 * (c > 2)")]
    public void Operands_AreWhatStandsBetweenTheOutermostComparisons(string query, params string[] operands) =>
        StoredQueries.Operands(query).ShouldBe(operands);

    private async Task EachAnswersAsync(IEnumerable<(string Where, string Query)> queries)
    {
        List<(string Where, string Query)> empty = [.. queries];
        await Eventually.BeTrueAsync(
            async () =>
            {
                var left = new List<(string, string)>();
                foreach (var query in empty)
                {
                    if ((await Prometheus.QueryAsync(query.Query, Cancelled)).Count == 0)
                        left.Add(query);
                }

                return (empty = left).Count == 0;
            },
            () => $"these have an answer:\n{string.Join('\n', empty)}", Cancelled);
    }

    private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);
}

/// <summary>A farm with Prometheus beside it, on which something has happened. One machine has GPUs that only say that they are.</summary>
public sealed class ObservedCluster : IAsyncLifetime
{
    private readonly DirectoryInfo _libraries = Directory.CreateTempSubdirectory("nvml-");

    public LocalCluster Cluster { get; }

    internal Prometheus? Prometheus { get; private set; }

    /// <summary>The job whose loss is no number.</summary>
    internal string Diverged { get; private set; } = "";

    public ObservedCluster() => Cluster = new LocalCluster
    {
        BeforeStart = cluster =>
        {
            NvmlLibrary.Compile(Path.Combine(_libraries.FullName, "libnvidia-ml.so.1"));
            cluster.Configure("worker-1", $"LD_LIBRARY_PATH={_libraries.FullName}");
            // Who ends within it is waited for, and the job that preempts is short.
            cluster.Configure(LocalCluster.Scheduler(1), "Placement__PreemptionGrace=00:00:03");
            return Task.CompletedTask;
        },
    };

    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        if (!File.Exists(Prometheus.Program))
            return;
        await Cluster.InitializeAsync();
        Prometheus = await Prometheus.StartAsync(Cluster.Collector, cancellationToken);

        using var client = new PatientClient(Cluster, Cluster.GrpcAddress);
        var endless = await client.SubmitAsync(Yaml("endless", epochs: 100_000), cancellationToken);
        await client.UntilAsync(endless, job => job.Progress?.Step > 0, cancellationToken);
        var urgent = await client.SubmitAsync(Yaml("urgent", epochs: 1) + "\npriority: 5", cancellationToken);
        await client.UntilAsync(urgent, job => job.State == JobState.Succeeded, cancellationToken);
        await Cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = endless }, cancellationToken: cancellationToken);
        (await client.UntilAsync(endless, job => job.State == JobState.Cancelled, cancellationToken)).Preemptions.ShouldBe(1);
        Diverged = await client.SubmitAsync(Yaml("diverged", epochs: 1, Divergence), cancellationToken);
        await client.UntilAsync(Diverged, job => job.State == JobState.Failed, cancellationToken);
        // Where nothing is slow, no work falls due but an end that was set. Two, since a rate begins with the second.
        foreach (var name in new[] { "limited", "limited-too" })
        {
            var limited = await client.SubmitAsync(Yaml(name, epochs: 100_000) + "\nmaxRuntime: 2s", cancellationToken);
            await client.UntilAsync(limited, job => job is { State: JobState.Failed, ReasonCode: "timed_out" }, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Prometheus is not null)
        {
            await Prometheus.DisposeAsync();
            await Cluster.DisposeAsync();
        }

        _libraries.Delete(recursive: true);
    }

    // Each step turns every weight round and makes it 99 times as large.
    private const string Divergence = "{name: sgd, learningRate: 100, weightDecay: 1}";

    private static string Yaml(string name, int epochs, string optimizer = "{name: sgd, learningRate: 0.01}") =>
        $$"""
        name: {{name}}
        model: {name: lenet5}
        data: {name: fashion-mnist, trainSamples: 2048, validationSamples: 256}
        hyperparameters:
          epochs: {{epochs}}
          globalBatchSize: 64
          optimizer: {{optimizer}}
          memoryFormat: {{MemoryFormats.Contiguous}}
        resources: {devices: 2, deviceKind: cpu, maxDevicesPerNode: 1}
        parallelism: data
        checkpoints: {everySteps: 20}
        restarts: {maxRestarts: 0}
        seed: 7
        """;
}
