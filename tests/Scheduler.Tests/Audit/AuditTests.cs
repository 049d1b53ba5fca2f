using System.Diagnostics.Metrics;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Audit;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace Cluster.Scheduler.Tests.Audit;

/// <summary>Of a scheduler of their own: what is noted of strangers is counted over all of them.</summary>
public sealed class AuditTests(PostgresServer postgres) : IAsyncLifetime
{
    private TestScheduler _scheduler = null!;

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public async Task Call_IsNoted_WithWhoFromWhereToWhatAndHowItEnded()
    {
        var job = await _scheduler.SubmitWaitingAsync();
        await _scheduler.Jobs(TestScheduler.OperatorToken).CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        var entries = await EntriesAsync(2);

        entries.Select(e => (e.Who, e.Token, e.Origin, e.Action, e.Object, e.Status, e.Detail)).ShouldBe(
        [
            ("olga", "test", "127.0.0.1", "JobService/CancelJob", job.Id, "OK", ""),
            ("alice", "test", "127.0.0.1", "JobService/SubmitJob", job.Id, "OK", ""),
        ]);
    }

    [Fact]
    public async Task EveryKindOfRefusal_HasItsStatus_AndIsNoted()
    {
        const string Expired = "a-token-that-has-expired";
        const string Revoked = "a-token-that-is-revoked";
        const string OneNodes = "the-own-token-of-one-node";
        await _scheduler.AddTokenAsync(Expired, "eve", Scope.Admin, DateTimeOffset.UtcNow.AddHours(-1));
        var revoked = await _scheduler.AddTokenAsync(Revoked, "rex", Scope.Admin);
        await _scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{revoked}" });
        await _scheduler.AddTokenAsync(OneNodes, "nodes", Scope.Node, node: Guid.NewGuid(), name: "node-a");
        var alices = await _scheduler.SubmitWaitingAsync();
        var trainer = await _scheduler.RunAsync("audited");
        var code = (await _scheduler.Nodes(TestScheduler.AdminToken).EnrollNodeAsync(new EnrollNodeRequest { Name = "node-b" })).Code;
        var enroll = new EnrollRequest { NodeId = $"{Guid.NewGuid()}", TokenSha256 = ByteString.CopyFrom(new byte[32]) };
        await _scheduler.Registry(code).EnrollAsync(enroll);
        var replay = new EnrollRequest { NodeId = $"{Guid.NewGuid()}", TokenSha256 = enroll.TokenSha256 };
        var heartbeat = new HeartbeatRequest { NodeId = $"{Guid.NewGuid()}", Incarnation = "another" };
        var list = new ListJobsRequest();

        await RefusedAsync(
            StatusCode.Unauthenticated, _scheduler.Jobs(" ").ListJobsAsync(list), "", "JobService/ListJobs");
        await RefusedAsync(StatusCode.Unauthenticated, _scheduler.Jobs("a wrong token").ListJobsAsync(list), "", "JobService/ListJobs");
        await RefusedAsync(StatusCode.Unauthenticated, _scheduler.Jobs(Expired).ListJobsAsync(list), "eve", "JobService/ListJobs");
        await RefusedAsync(StatusCode.Unauthenticated, _scheduler.Jobs(Revoked).ListJobsAsync(list), "rex", "JobService/ListJobs");
        await RefusedAsync(
            StatusCode.PermissionDenied, _scheduler.Tokens(TestScheduler.OperatorToken).ListTokensAsync(new ListTokensRequest()), "olga",
            "TokenService/ListTokens");
        await RefusedAsync(
            StatusCode.PermissionDenied,
            _scheduler.Jobs(TestScheduler.OtherSubmitterToken).CancelJobAsync(new CancelJobRequest { JobId = alices.Id }), "bob",
            "JobService/CancelJob", alices.Id);
        await RefusedAsync(
            StatusCode.PermissionDenied, _scheduler.Registry(OneNodes).HeartbeatAsync(heartbeat), "nodes",
            "AgentRegistryService/Heartbeat", heartbeat.NodeId);
        await RefusedAsync(
            StatusCode.Unauthenticated, trainer.Client(new string('0', 64)).ReportAsync(new ReportRequest { Sequence = 9 }), "",
            "AttemptService/Report");
        await RefusedAsync(
            StatusCode.Unauthenticated, _scheduler.Registry(code).EnrollAsync(replay), "", "AgentRegistryService/Enroll", replay.NodeId);
    }

    [Fact]
    public async Task Forgery_ThatTheDashboardRefused_IsItsVisitors()
    {
        await _scheduler.Audit(TestScheduler.ViewerToken).NoteForgeryAsync(new NoteForgeryRequest
        {
            Request = "POST /sign-out",
            Origin = "http://elsewhere.example",
            Visitor = "10.0.0.9",
        });
        await Should.ThrowAsync<RpcException>(() => _scheduler.Audit(TestScheduler.ViewerToken)
            .NoteForgeryAsync(new NoteForgeryRequest { Request = "two\nlines" }).ResponseAsync);

        var entries = await EntriesAsync(2);

        (entries[0].Who, entries[0].Action, entries[0].Status).ShouldBe(("vera", "AuditService/NoteForgery", "InvalidArgument"));
        var entry = entries[1];
        (entry.Who, entry.Origin, entry.Action, entry.Object, entry.Status, entry.Detail).ShouldBe((
            "vera", "127.0.0.1", "Dashboard/Forgery", "POST /sign-out", "PermissionDenied",
            "a page of http://elsewhere.example asked for it, in the browser of 10.0.0.9"));
    }

    [Fact]
    public async Task List_IsNarrowedByEachFilter_AndGoesThroughItsPages()
    {
        var one = await _scheduler.SubmitWaitingAsync();
        var other = await _scheduler.SubmitWaitingAsync(token: TestScheduler.OtherSubmitterToken);
        foreach (var job in new[] { one, other })
            await _scheduler.Jobs(TestScheduler.OperatorToken).CancelJobAsync(new CancelJobRequest { JobId = job.Id });
        await Should.ThrowAsync<RpcException>(() => _scheduler.SubmitWaitingAsync(token: TestScheduler.ViewerToken));
        var all = await EntriesAsync(5);

        (await ActionsAsync(new ListAuditRequest { Who = "olga" })).ShouldBe(["CancelJob", "CancelJob"]);
        (await ActionsAsync(new ListAuditRequest { Action = "SubmitJob" })).ShouldBe(["SubmitJob", "SubmitJob", "SubmitJob"]);
        (await ActionsAsync(new ListAuditRequest { Action = "JobService/SubmitJob", Status = "PermissionDenied" })).ShouldBe(["SubmitJob"]);
        (await ActionsAsync(new ListAuditRequest { Object = one.Id })).ShouldBe(["CancelJob", "SubmitJob"]);
        (await ActionsAsync(new ListAuditRequest { Since = all[2].Time, Until = all[0].Time }))
            .ShouldBe(
                all.Where(entry => entry.Time >= all[2].Time && entry.Time < all[0].Time).Select(entry => entry.Action.Split('/')[1]));
        // A filter is a value, whatever is in it.
        (await ActionsAsync(new ListAuditRequest { Who = "' or true --" })).ShouldBeEmpty();
        (await ActionsAsync(new ListAuditRequest { Action = "%" })).ShouldBeEmpty();

        var (paged, page) = (new List<long>(), new ListAuditResponse());
        do
        {
            page = await _scheduler.Audit().ListAuditAsync(new ListAuditRequest { PageSize = 2, PageToken = page.NextPageToken });
            page.Entries.Count.ShouldBeLessThanOrEqualTo(2);
            paged.AddRange(WithoutLooks(page.Entries).Select(entry => entry.Sequence));
        }
        while (page.NextPageToken.Length > 0);
        paged.ShouldBe(all.Select(entry => entry.Sequence));

        async Task<IEnumerable<string>> ActionsAsync(ListAuditRequest request) =>
            WithoutLooks((await _scheduler.Audit().ListAuditAsync(request)).Entries).Select(entry => entry.Action.Split('/')[1]);
    }

    [Fact]
    public async Task Strangers_AreNotedSoManyTimes_AndThenCounted()
    {
        var time = new FakeTimeProvider();
        using var log = new AuditLog(
            _scheduler.Get<AuditStore>(), _scheduler.Get<IMeterFactory>(), time, NullLogger<AuditLog>.Instance);
        await log.StartAsync(TestContext.Current.CancellationToken);

        for (var call = 0; call < AuditLog.Burst + 950; call++)
            log.AddIfRoom(Row);
        time.Advance(TimeSpan.FromSeconds(2));
        for (var call = 0; call < 10; call++)
            log.AddIfRoom(Row);
        await log.StopAsync(TestContext.Current.CancellationToken);

        var noted = (await ListAsync()).Where(entry => entry.Action == "guess").ToList();
        noted.Count.ShouldBe(AuditLog.Burst + 2);
        noted.Select(entry => entry.LeftOut).Where(leftOut => leftOut > 0).ShouldHaveSingleItem().ShouldBe(950);

        static AuditRow Row(int leftOut) => new()
        {
            Time = DateTimeOffset.UtcNow,
            Who = "",
            Token = "",
            Origin = "10.0.0.9",
            Action = "guess",
            Object = "",
            Status = "Unauthenticated",
            Detail = "",
            LeftOut = leftOut,
        };
    }

    [Fact]
    public async Task WhatIsWritten_Stays_ButForRetention()
    {
        await _scheduler.SubmitWaitingAsync();
        await EntriesAsync(1);

        foreach (var sql in new[] { "update audit set who = 'nobody'", "delete from audit", "truncate audit" })
        {
            (await Should.ThrowAsync<PostgresException>(() => _scheduler.ExecuteAsync(sql))).MessageText
                .ShouldBe("the audit is append-only", sql);
        }

        var store = _scheduler.Get<AuditStore>();
        (await store.RemoveAsync(DateTimeOffset.UtcNow.AddDays(-1), TestContext.Current.CancellationToken)).ShouldBe(0);
        (await store.RemoveAsync(DateTimeOffset.UtcNow.AddDays(1), TestContext.Current.CancellationToken)).ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Secret_ThatGotIntoACall_IsNotKept()
    {
        var secret = AccessSecret.Make(AccessSecret.Token);
        var request = new CancelJobRequest { JobId = secret };
        await Should.ThrowAsync<RpcException>(() => _scheduler.Jobs().CancelJobAsync(request).ResponseAsync);

        var entry = (await EntriesAsync(1)).ShouldHaveSingleItem();

        entry.Object.ShouldBe("clt_…");
        entry.ToString().ShouldNotContain(secret);
    }

    private static IEnumerable<AuditEntry> WithoutLooks(IEnumerable<AuditEntry> entries) =>
        entries.Where(entry => entry.Action != "AuditService/ListAudit");

    private async Task<IReadOnlyList<AuditEntry>> ListAsync() =>
        (await _scheduler.Audit().ListAuditAsync(new ListAuditRequest { PageSize = 1000 })).Entries;

    /// <summary>What is noted beside the looks at it, newest first, once there are so many.</summary>
    private async Task<IReadOnlyList<AuditEntry>> EntriesAsync(int count)
    {
        IReadOnlyList<AuditEntry> found = [];
        await Eventually.HoldsAsync(async () =>
            (found = [.. WithoutLooks(await ListAsync())]).Count >= count);
        found.Count.ShouldBe(count);
        return found;
    }

    private async Task RefusedAsync<T>(StatusCode status, AsyncUnaryCall<T> call, string who, string action, string? what = null)
    {
        (await Should.ThrowAsync<RpcException>(() => call.ResponseAsync)).StatusCode.ShouldBe(status);
        await Eventually.HoldsAsync(async () => (await ListAsync()).Any(entry =>
            (entry.Who, entry.Action, entry.Status) == (who, action, $"{status}") && (what is null || entry.Object == what)));
    }
}
