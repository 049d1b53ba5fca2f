using System.Globalization;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.Time.Testing;
using Npgsql;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Persistence;

/// <summary>What an earlier version stored, its newest schema and rows made by hand, goes on under this one.</summary>
public sealed class UpgradeTests(PostgresServer postgres)
{
    private const string Need = """
        select concat_ws('|', state, version, queue, priority, age, not_before, avoid_nodes, devices, device_class, max_devices_per_node,
            node_labels, data_set, cpu_bytes, gpu_bytes) from job_queue where job_id = 
        """;

    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly MemoryEstimate Memory = new() { Total = 700, Process = 200, GpuOnly = 30 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Jobs_WithSpecsInJson_StayAndGoOn()
    {
        var database = await postgres.CreateEmptyDatabaseAsync(Token);
        var (queued, running, done, checkpoint) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        var waiting = AJob().WithPriority(3).With(s =>
        {
            s.Resources.NodeLabels.Add("rack", "\"7\", 8");
            s.Resources.MaxDevicesPerNode = 2;
            s.Checkpoints.KeepLatest = 5;
            s.InitFrom = new InitFrom { Checkpoint = checkpoint.ToString() };
        }).Build();
        await using (var source = NpgsqlDataSource.Create(database + ";Pooling=false"))
        {
            await MigrateBeforeAsync(source, 11);
            await InsertAsync(source, queued, waiting, "Queued");
            await InsertAsync(source, running, AJob().Build(), "Running", attempt: 1);
            await InsertAsync(source, done, AJob().Build(), "Succeeded");
            await ExecuteAsync(source,
                $"""
                insert into attempts (job_id, number, secret_hash, state, world_size, resume_step, created_at, reason, launch_failed)
                values ('{running}', 1, '', 'Running', 1, 0, now(), '', false);
                insert into device_grants (job_id, attempt, rank, node_id, node_name, node_epoch, device, granted_at, started_at, lost,
                    exit_message)
                values ('{running}', 1, 0, gen_random_uuid(), 'node-z', 1, 'cpu:0', now(), now(), false, '')
                """);
        }

        await using var cluster = await TestCluster.StartAsync(database, new FakeTimeProvider(Now), new FakeAgents());
        await cluster.AddNodeAsync(configure: n => n.Labels = n.Labels.Add("rack", "\"7\", 8"));

        (await cluster.GetAsync(new JobId(queued))).Spec.ShouldBe(waiting);
        (await cluster.GetAsync(new JobId(done))).State.ShouldBe(JobState.Succeeded);
        (await TestDatabase.CountAsync(cluster, "job_queue")).ShouldBe(2);
        (await TestDatabase.QueryAsync<string>(cluster, $"select cpu_bytes || ' ' || gpu_bytes from device_grants")).ShouldBe("700 530");
        (await TestDatabase.QueryAsync<string>(
            cluster, $"select concat_ws(' ', initial_checkpoint, keep_latest, keep_best) from jobs where id = '{queued}'"))
            .ShouldBe($"{checkpoint} 5 t");
        await cluster.ReconcileAsync();
        (await cluster.GetAsync(new JobId(queued))).State.ShouldBe(JobState.Starting);
        (await cluster.GetAsync(new JobId(running))).State.ShouldBe(JobState.Queued, "its node is not known any more");
        cluster.Agents.Launches.ShouldHaveSingleItem().Request.Spec.ShouldBe(waiting);
    }

    /// <summary>The row that the schema makes of an old job is the one that a submit makes of a new one.</summary>
    [Theory]
    [InlineData(DeviceKind.Any, "")]
    [InlineData(DeviceKind.Cpu, "")]
    [InlineData(DeviceKind.Cuda, "photos")]
    public async Task QueueRow_OfAnOldJob_IsThatOfANewOne(DeviceKind kind, string folder)
    {
        var database = await postgres.CreateEmptyDatabaseAsync(Token);
        var spec = AJob().WithDevices(2).With(s =>
        {
            s.Resources.DeviceKind = kind;
            s.Resources.NodeLabels.Add("b", "2");
            s.Resources.NodeLabels.Add("a", "1");
            if (folder.Length > 0)
                s.Data = new DataSpec { Name = "image-folder", Folder = folder, Classes = 10 };
        }).Build();
        var old = Guid.NewGuid();
        await using (var source = NpgsqlDataSource.Create(database + ";Pooling=false"))
        {
            await MigrateBeforeAsync(source, 11);
            await InsertAsync(source, old, spec, "Queued");
        }

        await using var cluster = await TestCluster.StartAsync(database, new FakeTimeProvider(Now), new FakeAgents());
        var submission = Scheduler.Submissions.JobSubmission.Of("bob", "new", spec, waitForCapacity: true, Now) with { Memory = Memory };
        await cluster.SubmitAsync(submission);

        (await TestDatabase.QueryAsync<string>(cluster, $"{Need}'{old}'"))
            .ShouldBe(await TestDatabase.QueryAsync<string>(cluster, $"{Need}'{submission.Id}'"));
    }

    private static async Task InsertAsync(NpgsqlDataSource source, Guid id, JobSpec spec, string state, int attempt = 0)
    {
        await using var command = source.CreateCommand(
            $"""
            insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, state,
                reason, version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at, memory)
            values ($1, 'alice', $2, $3, 'default', $4, $5::jsonb, true, '', '', '{state}', '', 1, 1, {attempt}, 0, 0, array[]::uuid[],
                $6, $7::jsonb)
            """);
        object[] values = [id, id.ToString(), spec.Name, spec.Priority, JsonColumn.Write(spec), Now, JsonColumn.Write(Memory)];
        foreach (var value in values)
            command.Parameters.Add(new() { Value = value });
        await command.ExecuteNonQueryAsync(Token);
    }

    private static async Task MigrateBeforeAsync(NpgsqlDataSource source, int version)
    {
        await ExecuteAsync(
            source, "create table schema_version (version integer primary key, name text not null, applied_at timestamptz not null)");
        var assembly = typeof(Migrator).Assembly;
        var names = assembly.GetManifestResourceNames().Where(name => name.Contains(".Migrations.", StringComparison.Ordinal))
            .Select(name => (Name: name, Version: int.Parse(name.Split(".Migrations.")[1][..4], CultureInfo.InvariantCulture)));
        foreach (var (name, number) in names.Where(each => each.Version < version).OrderBy(each => each.Version))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            await ExecuteAsync(source, await reader.ReadToEndAsync(Token));
            await ExecuteAsync(source, $"insert into schema_version values ({number}, '{name}', now())");
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Token);
    }
}
