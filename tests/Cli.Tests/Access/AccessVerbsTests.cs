using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Cli.Tests.Access;

public sealed class AccessVerbsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TokenCreate_PrintsTheTokenAlone_AndTheRestBesideIt()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "token", "create", "laptop", "--owner", "carla", "--scope", "submitter", "--days", "90",
            "--workspace", "vision", "--workspace", "speech"))
            .ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("clt_secret\n");
        run.Error.ShouldContain("'laptop' of carla; it is not shown again");
        var request = cluster.Access.Requests.ShouldHaveSingleItem().ShouldBeOfType<CreateTokenRequest>();
        (request.Name, request.Owner, request.Scope).ShouldBe(("laptop", "carla", Scope.Submitter));
        request.Workspaces.ShouldBe(["vision", "speech"]);
        request.ExpiresAt.ShouldBeGreaterThan(DateTime.UtcNow.AddDays(89).ToTimestamp());
    }

    [Theory]
    [InlineData("--scope", "node", "--days", "1")]
    [InlineData("--scope", "viewer", "--days", "0")]
    public async Task TokenCreate_OfWhatThereIsNot_IsRefusedHere(params string[] options)
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, ["token", "create", "laptop", "--owner", "carla", .. options])).ShouldBe(ExitCode.Usage);

        cluster.Access.Requests.ShouldBeEmpty();
    }

    [Fact]
    public async Task TokenList_GoesThroughItsPages_AndSaysWhichTokensAreOver()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var (past, future) = (new DateTime(2001, 2, 3, 4, 5, 0, DateTimeKind.Utc), new DateTime(2999, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        cluster.Access.Tokens.AddRange(
        [
            new AccessToken
            {
                Id = "aaaaaaaa", Name = "new", Owner = "carla", Scope = Scope.Viewer, ExpiresAt = future.ToTimestamp(),
                Workspaces = { "vision", "speech" },
            },
            new AccessToken { Id = "bbbbbbbb", Name = "old", Owner = "carla", Scope = Scope.Admin, ExpiresAt = past.ToTimestamp() },
            new AccessToken
            {
                Id = "cccccccc", Name = "lost", Owner = "dora", Scope = Scope.Operator, RevokedAt = past.ToTimestamp(),
                LastUsedAt = past.ToTimestamp(),
            },
        ]);
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "token", "list")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("""
            TOKEN     NAME  OWNER  SCOPE     WORKSPACES     STATE    EXPIRES            LAST USED
            aaaaaaaa  new   carla  viewer    vision,speech  valid    2999-01-01 00:00Z  -
            bbbbbbbb  old   carla  admin     -              expired  2001-02-03 04:05Z  -
            cccccccc  lost  dora   operator  -              revoked  -                  2001-02-03 04:05Z

            """);
    }

    [Fact]
    public async Task TokenRevoke_SaysWhichOneItWas()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Access.Tokens.Add(new AccessToken { Id = "aaaaaaaa-1", Name = "lost", Owner = "dora" });
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "token", "revoke", "aaaa")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("token aaaaaaaa 'lost' of dora revoked\n");
    }

    [Fact]
    public async Task AuditList_SendsItsFilters_AndStopsAtItsLimit()
    {
        await using var cluster = await FakeCluster.StartAsync();
        for (var i = 0; i < 5; i++)
        {
            cluster.Access.Entries.Add(new AuditEntry
            {
                Time = new DateTime(2001, 2, 3, 4, 5, i, DateTimeKind.Utc).ToTimestamp(),
                Who = "carla",
                Token = "laptop",
                Origin = "10.0.0.9",
                Action = "JobService/CancelJob",
                Object = "aaaaaaaa",
                Status = "PermissionDenied",
                Detail = "dora's",
                LeftOut = i,
            });
        }

        var run = new CliRun(cluster);

        (await run.RunAsync(
            Cancellation, "audit", "list", "--who", "carla", "--action", "CancelJob", "--object", "aaaaaaaa",
            "--status", "PermissionDenied", "--since", "2001-01-01", "--until", "2002-01-01T12:00Z", "--limit", "3"))
            .ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("""
            TIME                  WHO    TOKEN   FROM      ACTION                OBJECT    STATUS            WHY
            2001-02-03 04:05:00Z  carla  laptop  10.0.0.9  JobService/CancelJob  aaaaaaaa  PermissionDenied  dora's
            2001-02-03 04:05:01Z  carla  laptop  10.0.0.9  JobService/CancelJob  aaaaaaaa  PermissionDenied  dora's (1 like it left out)
            2001-02-03 04:05:02Z  carla  laptop  10.0.0.9  JobService/CancelJob  aaaaaaaa  PermissionDenied  dora's (2 like it left out)

            """);
        cluster.Access.Requests[0].ShouldBe(new ListAuditRequest
        {
            Who = "carla",
            Action = "CancelJob",
            Object = "aaaaaaaa",
            Status = "PermissionDenied",
            PageSize = 3,
            Since = new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc).ToTimestamp(),
            Until = new DateTime(2002, 1, 1, 12, 0, 0, DateTimeKind.Utc).ToTimestamp(),
        });
    }

    [Fact]
    public async Task WorkspaceVerbs_SendWhatIsGiven()
    {
        await using var cluster = await FakeCluster.StartAsync();
        cluster.Access.Workspaces.Add(new Workspace
        {
            Name = "vision",
            Members =
            {
                new WorkspaceMember { Owner = "carla", Role = Scope.Submitter, HighestPriority = 5, Queues = { "default", "night" } },
                new WorkspaceMember { Owner = "dora", Role = Scope.Viewer },
            },
        });
        var list = new CliRun(cluster);
        foreach (var arguments in new string[][]
        {
            ["workspace", "close", "vision"],
            ["workspace", "member", "vision", "carla", "--role", "submitter", "--highest-priority", "5", "--queue", "default"],
            ["workspace", "expel", "vision", "carla"], ["workspace", "open", "vision"],
        })
        {
            var run = new CliRun(cluster);
            (await run.RunAsync(Cancellation, arguments)).ShouldBe(ExitCode.Done, run.Error);
            run.Out.ShouldContain("vision");
        }

        (await list.RunAsync(Cancellation, "workspace", "list")).ShouldBe(ExitCode.Done, list.Error);

        list.Out.ShouldBe("""
            WORKSPACE  MEMBER  ROLE       HIGHEST PRIORITY  QUEUES
            vision     carla   submitter  5                 default night
            vision     dora    viewer     -                 -

            """);
        cluster.Access.Requests.ShouldBe(
        [
            new CloseWorkspaceRequest { Name = "vision" },
            new SetMemberRequest
            {
                Name = "vision",
                Member = new WorkspaceMember { Owner = "carla", Role = Scope.Submitter, HighestPriority = 5, Queues = { "default" } },
            },
            new RemoveMemberRequest { Name = "vision", Owner = "carla" },
            new OpenWorkspaceRequest { Name = "vision" },
        ]);
    }

    [Fact]
    public async Task NodeEnroll_PrintsTheCodeAlone()
    {
        await using var cluster = await FakeCluster.StartAsync();
        var run = new CliRun(cluster);

        (await run.RunAsync(Cancellation, "node", "enroll", "gpu-7")).ShouldBe(ExitCode.Done, run.Error);

        run.Out.ShouldBe("code-of-gpu-7\n");
        run.Error.ShouldContain("for node gpu-7, once");
    }
}
