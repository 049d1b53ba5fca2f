using System.Collections.Immutable;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;
using Npgsql;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>Secrets that are planted in calls of every kind, and looked for wherever something is kept, written or shown.</summary>
public sealed class SecretTests(PostgresServer postgres)
{
    // As agents make them.
    private const string AgentSecret = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Secrets_AreInNoLog_NoTable_AndNoAnswer()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var made = await scheduler.Tokens().CreateTokenAsync(
            new CreateTokenRequest { Name = "laptop", Owner = "carla", Scope = Scope.Submitter });
        var code = (await scheduler.Nodes(TestScheduler.AdminToken).EnrollNodeAsync(new EnrollNodeRequest { Name = "planted" })).Code;
        var nodes = AccessSecret.Make(AccessSecret.Node);
        var node = await EnrolledAsync(scheduler, code, nodes);
        var job = (await scheduler.Jobs(made.Secret).SubmitJobAsync(new SubmitJobRequest
        {
            RequestId = $"{Guid.NewGuid()}",
            Spec = JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = node.Name).Build(),
        })).Job;
        await Eventually.HoldsAsync(() => scheduler.Agents.Launches.Any(launch => launch.Request.JobId == job.Id));
        var attempt = scheduler.Agents.SecretOf(job.Id, 1);
        string[] secrets = [TestScheduler.AdminToken, TestScheduler.NodeToken, made.Secret, code, nodes, attempt, AgentSecret];
        // In each place where a caller may put one by mistake.
        foreach (var secret in secrets)
        {
            await RefusedAsync(scheduler.Jobs(secret + "x").ListJobsAsync(new ListJobsRequest()));
            await RefusedAsync(scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = secret }));
            await RefusedAsync(scheduler.Registry(secret + "x").EnrollAsync(new EnrollRequest { NodeId = node.NodeId }));
            await RefusedAsync(scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = secret }));
        }

        await scheduler.Jobs(made.Secret).CancelJobAsync(new CancelJobRequest { JobId = job.Id });
        await Eventually.HoldsAsync(async () => (await scheduler.Audit().ListAuditAsync(new ListAuditRequest { Action = "CancelJob" }))
            .Entries.Count == 1);

        var kept = scheduler.Log.Entries.Select(entry => $"{entry.Message} {entry.Exception}").ToList();
        kept.AddRange(await RowsAsync(scheduler.ConnectionString));
        kept.Add($"{await scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = job.Id })}");
        kept.Add($"{await scheduler.Tokens().ListTokensAsync(new ListTokensRequest())}");
        kept.Add($"{await scheduler.Nodes().ListNodesAsync(new ListNodesRequest())}");
        kept.Count.ShouldBeGreaterThan(50);
        foreach (var secret in secrets)
            kept.ShouldNotContain(text => text.Contains(secret, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void WhatHoldsASecret_DoesNotSayItAsText()
    {
        const string Secret = "0123456789abcdef";
        object[] holders =
        [
            new NodeRegistration("node-a", "http://node-a:1", Secret, "", "", [], ImmutableDictionary<string, string>.Empty, [], []),
            new AgentEndpoint(new Uri("http://node-a:1"), Secret),
            LaunchOrder.For(new LaunchRequest { AttemptSecret = Secret }),
            AttemptCredential.Of(default, 1, 0, Secret),
        ];

        holders.Select(holder => $"{holder}").ShouldAllBe(text => !text.Contains(Secret, StringComparison.Ordinal));
    }

    private static async Task<RegisterRequest> EnrolledAsync(TestScheduler scheduler, string code, string token)
    {
        var node = new RegisterRequest
        {
            NodeId = $"{Guid.NewGuid()}",
            Name = "planted",
            AgentAddress = "http://planted:7071",
            AgentSecret = AgentSecret,
            Incarnation = $"{Guid.NewGuid()}",
            Labels = { ["only"] = "planted" },
            DataSets = { "fashion-mnist" },
            Devices = { new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1, MemoryBytes = 1 << 30 } },
        };
        await scheduler.Registry(code).EnrollAsync(
            new EnrollRequest { NodeId = node.NodeId, TokenSha256 = ByteString.CopyFrom(AccessSecret.Hash(token)) });
        await scheduler.Registry(token).RegisterAsync(node);
        return node;
    }

    private static async Task RefusedAsync<T>(AsyncUnaryCall<T> call) => await Should.ThrowAsync<RpcException>(() => call.ResponseAsync);

    /// <summary>Every row of every table, as text.</summary>
    private static async Task<List<string>> RowsAsync(string connectionString)
    {
        await using var source = NpgsqlDataSource.Create(connectionString + ";Pooling=false");
        var tables = await ReadAsync(source, "select quote_ident(tablename) from pg_tables where schemaname = 'public'");
        tables.Count.ShouldBeGreaterThan(20);
        var rows = new List<string>();
        foreach (var table in tables)
            rows.AddRange(await ReadAsync(source, $"select t::text from {table} t"));
        return rows;
    }

    private static async Task<List<string>> ReadAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(Cancelled);
        var rows = new List<string>();
        while (await reader.ReadAsync(Cancelled))
            rows.Add(reader.GetString(0));
        return rows;
    }
}
