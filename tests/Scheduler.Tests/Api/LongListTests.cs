using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>Lists that are longer than a message.</summary>
public sealed class LongListTests(PostgresServer postgres) : IAsyncLifetime
{
    // Each of three bytes: 32 of them on a job, and on where it may run, are some 16 KiB.
    private static readonly string LongLabel = new('汉', 63);

    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public async Task Jobs_WithLongLabels_AreListedInPagesThatClientsAccept_EachOnce()
    {
        var first = await SubmitWithLongLabelsAsync();
        await CopyJobAsync(999);
        var listedJobs = await Pages.AllAsync(
            async token => await _scheduler.Jobs().ListJobsAsync(new ListJobsRequest { PageSize = 1000, PageToken = token }),
            page => (page.Jobs.Select(job => job.Id), page.NextPageToken));
        var listedRuns = await Pages.AllAsync(
            async token => await _scheduler.Runs().ListRunsAsync(new ListRunsRequest { PageSize = 1000, PageToken = token }),
            page => (page.Runs.Select(run => run.JobId), page.NextPageToken));

        var stored = (Guid[])(await _scheduler.QueryAsync("select array(select id from jobs order by created_at desc)"))!;
        listedJobs.Select(Guid.Parse).ShouldBe(stored);
        listedRuns.Select(Guid.Parse).ShouldBe(stored);
        listedJobs[0].ShouldBe(first.Id);
    }

    [Fact]
    public async Task Experiment_OfJobsWithLongLabels_ComesInPagesAndMessagesThatClientsAccept()
    {
        var labels = string.Join(", ", Enumerable.Range(0, 32).Select(label => $"l{label}: {LongLabel}"));
        var yaml = $$"""
            name: long
            labels: { {{labels}} }
            model: lenet5
            data: fashion-mnist
            resources: {devices: 1, deviceKind: cpu, nodeLabels: { {{labels}} } }
            matrix:
              seed: [{{string.Join(", ", Enumerable.Range(1, 100))}}]
            """;
        var submitted = await _scheduler.Experiments().SubmitExperimentAsync(
            new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml, WaitForCapacity = true });
        var id = submitted.Experiment.Id;

        var found = await Pages.AllAsync(
            async token => await _scheduler.Experiments().GetExperimentAsync(
                new GetExperimentRequest { ExperimentId = id, PageToken = token }),
            page => (page.Jobs.Select(job => job.Variant), page.NextPageToken));
        var cancelled = await _scheduler.Experiments().CancelExperimentAsync(new CancelExperimentRequest { ExperimentId = id });
        using var watch = _scheduler.Experiments().WatchExperiment(new WatchExperimentRequest { ExperimentId = id });
        var messages = await watch.ResponseStream.ReadAllAsync(Token).ToListAsync(Token);

        found.ShouldBe(Enumerable.Range(1, 100).Select(seed => $"seed={seed}"));
        submitted.NextPageToken.ShouldNotBeEmpty();
        cancelled.NextPageToken.ShouldNotBeEmpty(); // of another length: a page is cut by its bytes, and a cancelled job has others
        cancelled.Jobs.Count.ShouldBeLessThan(100);
        messages.Count.ShouldBeGreaterThan(1);
        messages.ShouldAllBe(message => message.CalculateSize() < Pages.LargestMessage);
        messages.SelectMany(message => message.Jobs).Select(job => job.Variant).ShouldBe(found);
        var wrong = new GetExperimentRequest { ExperimentId = id, PageToken = "-1" };
        (await Should.ThrowAsync<RpcException>(async () => await _scheduler.Experiments().GetExperimentAsync(wrong)))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task Nodes_WithManyDataSets_AreListedByName_InPagesThatClientsAccept_EachOnce()
    {
        await _scheduler.AddNodeAsync("node-0");
        await _scheduler.ExecuteAsync("""
            insert into nodes select gen_random_uuid(), 'twin-' || (n / 2), agent_address, agent_version, incarnation, epoch, 'Lost', clean,
                devices, labels, array(select repeat('data', 20) || m from generate_series(1, 60) m), registered_at, registered_at, drain
            from nodes, generate_series(1, 999) n
            """);

        var whole = await Pages.AllAsync(
            async token => await _scheduler.Nodes().ListNodesAsync(new ListNodesRequest { PageToken = token }),
            page => (page.Nodes.Select(node => node.Id), page.NextPageToken));
        var inSmallPages = await Pages.AllAsync(
            async token => await _scheduler.Nodes().ListNodesAsync(new ListNodesRequest { PageSize = 7, PageToken = token }),
            page => (page.Nodes.Select(node => node.Id), page.NextPageToken));

        var stored = (Guid[])(await _scheduler.QueryAsync("select array(select id from nodes order by name, id)"))!;
        whole.Select(Guid.Parse).ShouldBe(stored);
        inSmallPages.Select(Guid.Parse).ShouldBe(stored);
        foreach (var wrong in new[] { "n", "nzz.0", $"n00.{Guid.Empty:N}", "0.0" })
        {
            var request = new ListNodesRequest { PageToken = wrong };
            (await Should.ThrowAsync<RpcException>(async () => await _scheduler.Nodes().ListNodesAsync(request)))
                .StatusCode.ShouldBe(StatusCode.InvalidArgument);
        }
    }

    [Fact]
    public async Task Checkpoints_AreListedInPages_OfOneJobByStep_OfAllByTime_EachOnce()
    {
        var job = await SubmitWithLongLabelsAsync();
        // As after a restart: later ones may stand at lower steps, and two at the same.
        await _scheduler.ExecuteAsync($"""
            insert into checkpoints (id, job_id, owner, attempt, step, epoch, bytes, manifest, created_at)
            select gen_random_uuid(), '{job.Id}', repeat('o', 9000), n, n % 100, 1, 1, '', now() + n * interval '1 second'
            from generate_series(1, 600) n
            """);

        foreach (var (of, order) in new[] { (job.Id, "step desc, created_at desc"), ("", "created_at desc") })
        {
            var stored = (Guid[])(await _scheduler.QueryAsync($"select array(select id from checkpoints order by {order})"))!;
            foreach (var limit in new[] { 7, 1000 })
            {
                var listed = await Pages.AllAsync(
                    async token => await _scheduler.Runs().ListCheckpointsAsync(
                        new ListCheckpointsRequest { JobId = of, Limit = limit, PageToken = token }),
                    page => (page.Checkpoints.Select(checkpoint => checkpoint.Id), page.NextPageToken));
                listed.Select(Guid.Parse).ShouldBe(stored);
            }
        }

        var unknown = new ListCheckpointsRequest { PageToken = "next" };
        (await Should.ThrowAsync<RpcException>(async () => await _scheduler.Runs().ListCheckpointsAsync(unknown)))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task Experiments_AreListedInPagesThatClientsAccept_EachOnce()
    {
        await _scheduler.ExecuteAsync("""
            insert into experiments
            select gen_random_uuid(), repeat('o', 6000), 'r' || n, 'name', 'default', '', now() + n * interval '1 second'
            from generate_series(1, 1000) n
            """);

        var listed = await Pages.AllAsync(
            async token => await _scheduler.Experiments().ListExperimentsAsync(
                new ListExperimentsRequest { PageSize = 1000, PageToken = token }),
            page => (page.Experiments.Select(experiment => experiment.Id), page.NextPageToken));

        var stored = (Guid[])(await _scheduler.QueryAsync("select array(select id from experiments order by created_at desc)"))!;
        listed.Select(Guid.Parse).ShouldBe(stored);
    }

    [Fact]
    public async Task Events_OfAJobThatChangedVeryOften_AreTheNewestThatAMessageHolds()
    {
        var job = await SubmitWithLongLabelsAsync();
        await _scheduler.ExecuteAsync($"""
            insert into job_events select '{job.Id}', n, now(), 'Queued', 'Starting', repeat('reason ', 1000), n
            from generate_series(2, 2000) n
            """);

        var found = await _scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = job.Id });

        found.CalculateSize().ShouldBeLessThan(Pages.LargestMessage);
        found.Events.Count.ShouldBeGreaterThan(100);
        var first = 2001 - found.Events.Count;
        found.Events.Select(change => change.Sequence).ShouldBe(found.Events.Select((_, index) => (long)first + index));
    }

    private async Task<Job> SubmitWithLongLabelsAsync()
    {
        var spec = JobSpecBuilder.AJob().With(spec =>
        {
            for (var label = 0; label < 32; label++)
            {
                spec.Labels[$"label-{label}"] = LongLabel;
                spec.Resources.NodeLabels[$"label-{label}"] = LongLabel;
            }
        }).Build();
        var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Spec = spec, WaitForCapacity = true };
        return (await _scheduler.Jobs().SubmitJobAsync(request)).Job;
    }

    /// <summary>So many more like the one job that there is, all over and each older than the last.</summary>
    private Task CopyJobAsync(int copies) => _scheduler.ExecuteAsync($"""
        insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, state, reason,
            version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at)
        select gen_random_uuid(), owner, 'copy ' || n, name, workspace, priority, spec, wait_for_capacity, '', '', 'Cancelled', '',
            1, 1, 0, 0, 0, avoid_nodes, created_at - n * interval '1 second'
        from jobs, generate_series(1, {copies}) n
        """);
}
