using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Logs;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Runs;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Persistence;

public sealed class QueryTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pages_CoverEveryJobOnce_NewestFirst()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var submitted = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            submitted.Insert(0, (await cluster.SubmitAsync()).ToString());
            cluster.Time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var pages = new List<int>();
        var seen = new List<string>();
        var runs = new List<string>();
        for (var token = (string?)null; token != "";)
        {
            var page = await cluster.Get<JobQueries>().ListAsync(new JobFilter([], "", 2, token ?? ""), Token);
            var search = new RunSearch("", "", 2, token ?? "");
            runs.AddRange((await cluster.Get<RunQueries>().ListAsync(search, Token)).Entries.Select(r => r.JobId));
            seen.AddRange(page.Entries.Select(j => j.Id));
            pages.Add(page.Entries.Count);
            token = page.NextPageToken;
        }

        seen.ShouldBe(submitted);
        runs.ShouldBe(submitted);
        pages.ShouldBe([2, 2, 1]);
        await Should.ThrowAsync<FormatException>(() => cluster.Get<JobQueries>().ListAsync(new JobFilter([], "", 2, "made up"), Token));
    }

    [Fact]
    public async Task Filter_ByStateAndWorkspace()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var queued = await cluster.SubmitAsync(AJob().With(s => s.Workspace = "vision"));
        var cancelled = await cluster.SubmitAsync();
        await cluster.Job(cancelled).CancelAsync(new("alice", ""));

        (await ListAsync([JobState.Cancelled, JobState.Failed], "")).ShouldBe([cancelled.ToString()]);
        (await ListAsync([], "vision")).ShouldBe([queued.ToString()]);
        (await ListAsync([JobState.Cancelled], "vision")).ShouldBeEmpty();

        async Task<IEnumerable<string>> ListAsync(JobState[] states, string workspace) =>
            (await cluster.Get<JobQueries>().ListAsync(new JobFilter(states, workspace, 100, ""), Token)).Entries.Select(j => j.Id);
    }

    [Fact]
    public async Task Find_ByAnyPrefix()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        var text = job.ToString();

        foreach (var prefix in new[] { text, text[..4], text[..9], text.Replace("-", "", StringComparison.Ordinal)[..20] })
        {
            IdPrefix.TryParse(prefix, out var parsed).ShouldBeTrue();
            (await cluster.Get<JobQueries>().FindAsync(parsed, 2, Token)).ShouldBe([job]);
        }

        IdPrefix.TryParse(text[0] == 'f' ? "0000" : "ffff", out var other).ShouldBeTrue();
        (await cluster.Get<JobQueries>().FindAsync(other, 2, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Nodes_ShowWhoHoldsTheirDevices()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync(devices: 2, configure: n => n.Labels = n.Labels.Add("rack", "7"));
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var gpu = new GpuHealth { TemperatureCelsius = 61, UncorrectedErrors = 0, Xids = { { 79, 1 } } };
        node.Measured.Add(new DeviceMeasurement { Device = "cpu:1", Gpu = gpu });
        await node.HeartbeatAsync();
        await cluster.Get<NodeMeasurements>().SaveAsync(Token);

        var seen = (await cluster.Get<NodeQueries>().ListAsync(Token)).ShouldHaveSingleItem();

        seen.ShouldSatisfyAllConditions(
            () => seen.Id.ShouldBe(node.Id.ToString()),
            () => seen.State.ShouldBe(NodeState.Ready),
            () => seen.Labels["rack"].ShouldBe("7"),
            () => seen.DataSets.ShouldBe(["fashion-mnist"]),
            () => seen.Devices.Select(d => (d.Device.Id, d.JobId, d.Attempt)).ShouldBe([("cpu:0", job.ToString(), 1), ("cpu:1", "", 0)]),
            () => seen.Devices[0].Utilization.ShouldBe(0.5),
            () => seen.Devices[0].Gpu.ShouldBeNull(),
            () => seen.Devices[1].HasUtilization.ShouldBeFalse(),
            () => seen.Devices[1].Gpu.ShouldBe(gpu),
            () => seen.LeaseExpiresAt.ToDateTimeOffset().ShouldBe(cluster.Time.GetUtcNow() + new NodeOptions().LeaseDuration),
            () => seen.Drain.ShouldBeNull(),
            () => seen.Devices[0].Device.ShouldBe(
                new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1, MemoryBytes = 1 << 30, Model = "test cpu" }));
    }

    [Fact]
    public async Task Logs_SentAgain_AreStoredOnce_InOrder()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync();
        await cluster.RunAsync(job);
        var logs = cluster.Get<LogStore>();

        await logs.AppendAsync(node.Id, job, 1, 1, [Line("1"), Line("2")], Token);
        await logs.AppendAsync(node.Id, job, 1, 1, [Line("1"), Line("2")], Token);
        await logs.AppendAsync(node.Id, job, 1, 2, [Line("2"), Line("3\0")], Token);
        await logs.AppendAsync(node.Id, job, 1, 9, [Line("9")], Token);

        var lines = await logs.ReadAsync(job, 0, null, 100, Token);
        lines.Select(l => l.Text).ShouldBe(["1", "2", "3\uFFFD", "9"]);
        lines.Select(l => l.Sequence).ShouldBeInOrder(SortDirection.Ascending);
        lines[0].Stream.ShouldBe(LogStream.Stderr);
        (await logs.ReadAsync(job, lines[1].Sequence, null, 1, Token)).Select(l => l.Text).ShouldBe(["3\uFFFD"]);
        (await logs.TailAsync(job, 0, null, 2, Token)).ShouldBe(lines[1].Sequence);
        (await logs.TailAsync(job, 0, null, 100, Token)).ShouldBe(lines[0].Sequence - 1);
        (await logs.TailAsync(job, lines[3].Sequence, null, 2, Token)).ShouldBe(lines[3].Sequence);
        (await logs.ReadAsync(job, 0, 1, 100, Token)).ShouldBeEmpty();

        static LogLine Line(string text) => new() { Text = text, Stream = LogStream.Stderr };
    }

    [Fact]
    public async Task LastWordsOfATrainer_AreTakenAfterItsExit()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(AJob().WithRestarts(0));
        await node.ExitAsync(job, await cluster.RunAsync(job), 0, exitCode: 1);

        await cluster.Get<LogStore>().AppendAsync(node.Id, job, 1, 1, [new LogLine { Text = "out of memory" }], Token);

        (await cluster.Get<LogStore>().ReadAsync(job, 0, null, 100, Token)).ShouldHaveSingleItem().Text.ShouldBe("out of memory");
    }
}
