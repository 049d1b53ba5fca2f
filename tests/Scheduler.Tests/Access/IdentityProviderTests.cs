using System.Buffers.Text;
using System.Text;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>Callers whom a real OpenID Connect provider, on loopback, has signed in.</summary>
public sealed class IdentityProviderTests(PostgresServer postgres) : IAsyncLifetime
{
    private readonly TestProvider _provider = new();
    private TestScheduler _scheduler = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _provider.StartAsync(Cancelled);
        _scheduler = await TestScheduler.StartAsync(
            postgres, ("IdentityProvider:Authority", _provider.Address), ("IdentityProvider:OwnerClaim", "preferred_username"),
            ("IdentityProvider:Scopes:gpu-users", "submitter"), ("IdentityProvider:Scopes:gpu-crew", "operator"));
    }

    public async ValueTask DisposeAsync()
    {
        await _scheduler.DisposeAsync();
        await _provider.DisposeAsync();
    }

    [Fact]
    public async Task SignedInCaller_HasTheOwnerAndTheScopeOfTheClaims()
    {
        var job = await _scheduler.SubmitWaitingAsync(token: await _provider.TokenAsync("carla", "people", "gpu-users"));
        job.Owner.ShouldBe("carla");

        var others = await _provider.TokenAsync("dora", "gpu-users");
        var cancel = new CancelJobRequest { JobId = job.Id };
        (await Should.ThrowAsync<RpcException>(() => _scheduler.Jobs(others).CancelJobAsync(cancel).ResponseAsync))
            .Status.Detail.ShouldContain("belongs to carla");
        var crew = await _provider.TokenAsync("emil", "gpu-users", "gpu-crew");
        (await _scheduler.Jobs(crew).CancelJobAsync(cancel)).Job.State.ShouldBe(JobState.Cancelled);
        (await Should.ThrowAsync<RpcException>(() => _scheduler.Tokens(crew).ListTokensAsync(new ListTokensRequest()).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.PermissionDenied);
        await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(new ListAuditRequest { Who = "emil" }))
            .Entries.Any(entry => (entry.Action, entry.Status, entry.Token) == ("JobService/CancelJob", "OK", "signed in")));
    }

    [Fact]
    public async Task Token_ThatIsExpiredForAnotherServiceForgedOrWithoutAScope_IsRefused()
    {
        await using var stranger = new TestProvider();
        await stranger.StartAsync(Cancelled);
        var good = await _provider.TokenAsync("carla", "gpu-users");
        var parts = good.Split('.');
        var claims = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1]));
        claims.ShouldContain("carla");
        var changed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims.Replace("carla", "admin", StringComparison.Ordinal)));

        foreach (var (token, problem) in new[]
        {
            (await _provider.TokenAsync("carla"), "has no scope here"),
            (await _provider.TokenAsync("carla", "people"), "has no scope here"),
            (await _provider.TokenAsync("", "gpu-users"), "no claim preferred_username"),
            (await _provider.TokenAsync("carla", TimeSpan.FromMinutes(-5), "cluster", "gpu-users"), "not valid here"),
            (await _provider.TokenAsync("carla", TimeSpan.FromMinutes(5), "another-service", "gpu-users"), "not valid here"),
            (await stranger.TokenAsync("carla", "gpu-users"), "not valid here"),
            ($"{parts[0]}.{parts[1]}.", "not valid here"),
            ($"{parts[0]}.{changed}.{parts[2]}", "not valid here"),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "not valid here"),
        })
        {
            var refusal = await Should.ThrowAsync<RpcException>(
                () => _scheduler.Jobs(token).ListJobsAsync(new ListJobsRequest()).ResponseAsync);
            refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated, problem);
            refusal.Status.Detail.ShouldContain(problem);
        }

        (await _scheduler.Jobs(good).ListJobsAsync(new ListJobsRequest())).ShouldNotBeNull();
    }

    [Fact]
    public async Task Claims_LimitTheCallerToWorkspaces_ButAnAdministrator()
    {
        await using var scheduler = await TestScheduler.StartAsync(
            postgres, ("IdentityProvider:Authority", _provider.Address), ("IdentityProvider:OwnerClaim", "preferred_username"),
            ("IdentityProvider:WorkspaceClaim", "roles"), ("IdentityProvider:Scopes:gpu-users", "submitter"),
            ("IdentityProvider:Scopes:root", "admin"));
        var carla = await _provider.TokenAsync("carla", "gpu-users", "vision");

        await scheduler.SubmitWaitingAsync("vision", carla);
        (await Should.ThrowAsync<RpcException>(() => scheduler.SubmitWaitingAsync("speech", carla)))
            .StatusCode.ShouldBe(StatusCode.PermissionDenied);
        await scheduler.SubmitWaitingAsync("speech", await _provider.TokenAsync("ada", "root"));
    }

    [Fact]
    public async Task Caller_WithoutTheClaimOfWorkspaces_IsRefused()
    {
        await using var scheduler = await TestScheduler.StartAsync(
            postgres, ("IdentityProvider:Authority", _provider.Address), ("IdentityProvider:OwnerClaim", "preferred_username"),
            ("IdentityProvider:WorkspaceClaim", "teams"), ("IdentityProvider:Scopes:gpu-users", "submitter"));
        var carla = await _provider.TokenAsync("carla", "gpu-users");

        var refusal = await Should.ThrowAsync<RpcException>(() => scheduler.SubmitWaitingAsync("vision", carla));

        refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated);
        refusal.Status.Detail.ShouldContain("no claim teams that names workspaces");
    }

    [Fact]
    public async Task OwnTokens_WorkBesideIt() =>
        (await _scheduler.Nodes().ListNodesAsync(new ListNodesRequest())).Nodes.ShouldBeEmpty();

    [Theory]
    [InlineData("http://login.example.org", "submitter", "https address")]
    [InlineData("login", "submitter", "https address")]
    [InlineData("https://login.example.org", "god", "Scopes:gpu-users is 'god'")]
    [InlineData("https://login.example.org", "node", "Scopes:gpu-users is 'node'")]
    public void Settings_ThatCannotBeMeant_AreRefused(string authority, string scope, string problem)
    {
        var options = new IdentityProviderOptions { Authority = authority, Scopes = { ["gpu-users"] = scope } };

        options.Validate(new(options)).ShouldHaveSingleItem().ErrorMessage!.ShouldContain(problem);
    }
}
