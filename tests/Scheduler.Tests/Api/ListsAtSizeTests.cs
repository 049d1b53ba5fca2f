using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Lists of a large cluster: a thousand jobs of many ranks each, ten thousand nodes.</summary>
public sealed class ListsAtSizeTests(PostgresServer postgres) : IAsyncLifetime
{
    private const int Jobs = 1_000;
    private const int Ranks = 64;
    private const int Nodes = 10_000;

    private readonly string _experiment = Guid.NewGuid().ToString();
    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public async Task Jobs_OfManyRanks_AreListedInPagesThatClientsAccept_EachOnceWithAllItsRanks()
    {
        await RunJobsAsync();

        var jobs = await Pages.AllAsync(
            async token => await _scheduler.Jobs().ListJobsAsync(
                new ListJobsRequest { PageSize = Jobs, PageToken = token, ExperimentId = _experiment }),
            page => (page.Jobs.Select(job => (job.Id, job.Placement)), page.NextPageToken));
        var runs = await Pages.AllAsync(
            async token => await _scheduler.Runs().ListRunsAsync(new ListRunsRequest { PageSize = Jobs, PageToken = token }),
            page => (page.Runs.Where(run => run.Attempts > 0).Select(run => (run.JobId, run.Placement)), page.NextPageToken));
        var members = await Pages.AllAsync(
            async token => await _scheduler.Experiments().GetExperimentAsync(
                new GetExperimentRequest { ExperimentId = _experiment, PageToken = token }),
            page => (page.Jobs.Select(job => (job.Id, job.Placement)), page.NextPageToken));

        var stored = await StoredAsync("select id from jobs where attempt = 1 order by created_at desc");
        stored.Length.ShouldBe(Jobs);
        jobs.Select(job => job.Id).ShouldBe(stored);
        runs.Select(run => run.JobId).ShouldBe(stored);
        members.Select(job => job.Id).ShouldBe(stored.Reverse());
        foreach (var (_, placement) in jobs.Concat(runs).Concat(members))
            placement.Select(rank => rank.Rank).ShouldBe(Enumerable.Range(0, Ranks));
    }

    [Fact]
    public async Task Watch_OfManyJobs_SendsEachOnce_ThenOfTheOneThatWentOnWhatHasChanged()
    {
        await RunJobsAsync();
        using var watch = _scheduler.Experiments().WatchExperiment(
            new WatchExperimentRequest { ExperimentId = _experiment, Brief = true }, deadline: DateTime.UtcNow.AddMinutes(2));
        var sent = new List<Job>();
        while (sent.Count < Jobs)
            sent.AddRange((await NextAsync()).Jobs);
        sent.Select(job => job.Id).Distinct().Count().ShouldBe(Jobs);
        sent.ShouldAllBe(job => job.Spec != null && job.Placement.Count == Ranks);

        var one = JobId.Parse(sent[Jobs / 2].Id);
        await _scheduler.ExecuteAsync($$"""insert into runs (job_id, progress) values ('{{one}}', '{"step": 7}')""");
        _scheduler.Get<JobFeed>().Publish(one, JobChange.Progress);

        var changed = (await NextAsync()).Jobs.ShouldHaveSingleItem();
        (changed.Id, changed.Progress.Step, changed.Spec, changed.Placement.Count).ShouldBe((one.ToString(), 7, null, 0));
        changed.CalculateSize().ShouldBeLessThan(sent[0].CalculateSize() / 10);

        async Task<WatchExperimentResponse> NextAsync()
        {
            (await watch.ResponseStream.MoveNext(Token)).ShouldBeTrue("the stream has ended");
            watch.ResponseStream.Current.CalculateSize().ShouldBeLessThan(Pages.LargestMessage);
            return watch.ResponseStream.Current;
        }
    }

    [Fact]
    public async Task Nodes_InThousands_AreListedInPagesThatClientsAccept_EachOnce()
    {
        await _scheduler.AddNodeAsync("node-0", devices: 8);
        await _scheduler.ExecuteAsync($"""
            insert into nodes
            select gen_random_uuid(), 'node-' || n, agent_address, agent_version, incarnation, epoch, state, clean, devices, labels,
                data_sets, registered_at, lost_at, drain
            from nodes, generate_series(1, {Nodes - 1}) n;
            insert into node_leases select id, incarnation, now() + interval '1 hour' from nodes on conflict do nothing;
            """);

        var listed = await Pages.AllAsync(
            async token => await _scheduler.Nodes().ListNodesAsync(new ListNodesRequest { PageToken = token }),
            page => (page.Nodes.Select(node => (node.Id, node.LeaseExpiresAt, node.Devices.Count)), page.NextPageToken));

        listed.Select(node => node.Id).ShouldBe(await StoredAsync("select id from nodes order by name, id"));
        listed.Count.ShouldBe(Nodes);
        listed.ShouldAllBe(node => node.LeaseExpiresAt != null && node.Count == 8);
    }

    /// <summary>An experiment's jobs that train, as far as lists tell; nobody looks after them.</summary>
    private async Task RunJobsAsync()
    {
        await _scheduler.SubmitWaitingAsync();
        await _scheduler.ExecuteAsync($"""
            insert into experiments values ('{_experiment}', 'alice', 'size', 'at size', 'default', '', now());
            insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate,
                experiment_id, state, reason, version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at, started_at)
            select gen_random_uuid(), owner, 'job ' || n, name, workspace, priority, spec, wait_for_capacity, '', '',
                '{_experiment}', 'Running', 'all ranks train', 1, 1, 1, 0, 0, avoid_nodes, created_at + n * interval '1 ms', created_at
            from jobs, generate_series(1, {Jobs}) n;
            insert into attempts (job_id, number, secret_hash, state, world_size, resume_step, created_at, reason, launch_failed)
            select id, 1, '', 'Running', {Ranks}, 0, created_at, '', false from jobs where attempt = 1;
            insert into device_grants (
                job_id, attempt, rank, node_id, node_name, node_epoch, device, granted_at, lost, exit_message, released_at)
            select id, 1, rank, gen_random_uuid(), 'node-' || rank / 8, 1, 'cuda:' || rank % 8, created_at, false, '', created_at
            from jobs, generate_series(0, {Ranks - 1}) rank where attempt = 1;
            """);
    }

    private async Task<string[]> StoredAsync(string ids) =>
        [.. ((Guid[])(await _scheduler.QueryAsync($"select array({ids})"))!).Select(id => id.ToString())];
}
