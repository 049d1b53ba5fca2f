using System.Collections.Immutable;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Tests.Webhooks;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>Secrets that are planted in calls of every kind, and looked for wherever something is kept, written or shown.</summary>
public sealed class SecretTests(PostgresServer postgres)
{
    // Of the scheduler's appsettings.json, each of which has a level of its own.
    private static readonly string[] Categories =
    [
        "Default", "Microsoft", "Microsoft.Hosting.Lifetime", "Grpc", "Microsoft.EntityFrameworkCore", "Npgsql", "Orleans",
        "Orleans.Runtime.Messaging", "Orleans.Runtime.MembershipService.SiloHealthMonitor", "Orleans.Runtime.Silo",
        "Orleans.Runtime.Watchdog", "Polly", "System.Net.Http",
    ];

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

    /// <summary>With every logger at its most talkative, and every span and measurement listened to.</summary>
    [Fact]
    public async Task Secrets_ThatAreUsed_AreInNoLogOfAnyLevel_NoSpan_NoMeasurement_AndNoTable()
    {
        const string Password = "planted-password-of-the-database";
        const string InAnAddress = "planted-in-an-address";
        using var overheard = new Overheard();
        await using var provider = new TestProvider();
        await provider.StartAsync(Cancelled);
        var database = await postgres.CreateDatabaseAsync(Cancelled);
        await using var scheduler = await TestScheduler.StartAsync(
            postgres,
            [
                ("Persistence:ConnectionString", $"{database};Password={Password}"), ("Webhooks:AllowPrivateAddresses", "true"),
                ("Webhooks:FirstDelay", "00:00:00.05"), ("Webhooks:Tries", "2"), ("IdentityProvider:Authority", provider.Address),
                ("IdentityProvider:OwnerClaim", "preferred_username"), ("IdentityProvider:Scopes:gpu-users", "submitter"),
                .. Categories.Select(category => ($"Logging:LogLevel:{category}", "Trace")),
            ]);
        var signedIn = await provider.TokenAsync("carla", "gpu-users");
        var made = (await scheduler.Tokens().CreateTokenAsync(
            new CreateTokenRequest { Name = "laptop", Owner = "carla", Scope = Scope.Submitter })).Secret;
        var code = (await scheduler.Nodes(TestScheduler.AdminToken).EnrollNodeAsync(new EnrollNodeRequest { Name = "planted" })).Code;
        var nodes = AccessSecret.Make(AccessSecret.Node);
        var node = await EnrolledAsync(scheduler, code, nodes);
        await using var receiver = await WebhookReceiver.StartAsync(204);
        var signing = (await CreateWebhookAsync(scheduler, made, "heard", receiver.Url)).Secret;
        await CreateWebhookAsync(scheduler, made, "unheard", $"http://127.0.0.1:1/{InAnAddress}");
        var job = (await scheduler.Jobs(signedIn).SubmitJobAsync(new SubmitJobRequest
        {
            RequestId = $"{Guid.NewGuid()}",
            Spec = JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = node.Name).Build(),
        })).Job;
        await Eventually.HoldsAsync(() => scheduler.Agents.Launches.Any(launch => launch.Request.JobId == job.Id));
        var attempt = scheduler.Agents.SecretOf(job.Id, 1);
        var trainer = new TestTrainer(scheduler, node, job.Id, 1, attempt);
        string[] secrets =
        [
            TestScheduler.AdminToken, TestScheduler.NodeToken, made, code, nodes, attempt, AgentSecret, signing, Password, InAnAddress,
            signedIn,
        ];
        await trainer.ReportAsync(new ReportRequest { Started = true });
        // Refused: changed, of another's, for what they do not do, and again.
        foreach (var secret in secrets.Where(secret => secret is not (Password or InAnAddress)))
        {
            await RefusedAsync(scheduler.Jobs(secret + "x").ListJobsAsync(new ListJobsRequest()));
            await RefusedAsync(scheduler.Registry(secret).EnrollAsync(new EnrollRequest { NodeId = $"{Guid.NewGuid()}" }));
            await RefusedAsync(trainer.Client(secret + "x").ReportAsync(new ReportRequest { Sequence = 9 }));
        }

        // What has a form by which it is known, also where it does not belong.
        foreach (var secret in new[] { made, code, nodes, attempt, AgentSecret, signing })
        {
            await RefusedAsync(scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = secret }));
            await RefusedAsync(scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = secret }));
        }

        var waiting = await scheduler.SubmitWaitingAsync(token: signedIn);
        foreach (var cancelled in new[] { waiting, job })
            await scheduler.Jobs(signedIn).CancelJobAsync(new CancelJobRequest { JobId = cancelled.Id });
        await receiver.NextAsync();
        await Eventually.HoldsAsync(async () => (await scheduler.Webhooks(made).ListWebhooksAsync(new ListWebhooksRequest()))
            .Webhooks.Any(webhook => webhook.Dead == 1));
        await scheduler.StopAsync();

        var said = scheduler.Log.Entries.Select(entry => $"{entry.Category}: {entry.Message} {entry.Properties} {entry.Exception}")
            .ToList();
        foreach (var talkative in (string[])["Microsoft.AspNetCore", "Grpc", "Npgsql", "Orleans"])
        {
            scheduler.Log.Entries.ShouldContain(
                entry => entry.Level < LogLevel.Information && entry.Category.StartsWith(talkative, StringComparison.Ordinal), talkative);
        }

        said.AddRange(scheduler.Log.Scopes);
        said.AddRange(overheard.Said);
        // Webhooks' own table has what they are signed with, and where they go: docs/webhooks.md.
        said.AddRange(await RowsAsync(database, except: "webhooks"));
        secrets.SelectMany(secret => said.Where(text => text.Contains(secret, StringComparison.OrdinalIgnoreCase))).Distinct()
            .Select(text => text[..Math.Min(text.Length, 500)]).ShouldBeEmpty();
    }

    /// <summary>Nothing listens there; the fault says where it was looked for, and what for is in no line.</summary>
    [Theory]
    [InlineData("Host=/nowhere;Username=cluster;Database=cluster;Password=planted-password")]
    [InlineData("Host=/nowhere;Username=cluster;Password=planted-password;Nonsense=1")]
    [InlineData("Host=/nowhere;Username=cluster;Password=planted-password;Maximum Pool Size=3")]
    public async Task Password_OfADatabaseThatCannotBeReached_IsInNoFault(string connection)
    {
        var fault = await Should.ThrowAsync<Exception>(async () =>
        {
            await using var scheduler = await TestScheduler.StartAsync(
                postgres, ("Persistence:ConnectionString", connection), ("Persistence:Retries", "0"));
        });

        fault.ToString().ShouldNotContain("planted-password");
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
        var (found, telling) = SecretHolders.In(typeof(AttemptCredential).Assembly);
        found.ShouldBeGreaterThan(5);
        telling.ShouldBeEmpty();
    }

    private static async Task<CreateWebhookResponse> CreateWebhookAsync(TestScheduler scheduler, string token, string name, string url) =>
        await scheduler.Webhooks(token).CreateWebhookAsync(new CreateWebhookRequest { Webhook = new Webhook { Name = name, Url = url } });

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
    private static async Task<List<string>> RowsAsync(string connectionString, string except = "")
    {
        await using var source = NpgsqlDataSource.Create(connectionString + ";Pooling=false");
        var tables = await ReadAsync(source, "select quote_ident(tablename) from pg_tables where schemaname = 'public'");
        tables.Count.ShouldBeGreaterThan(20);
        var rows = new List<string>();
        foreach (var table in tables.Where(table => table != except))
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
