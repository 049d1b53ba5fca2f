using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Cluster.Scheduler.Tests.Access;

[Collection(typeof(ApiTests))]
public sealed class TokenCallTests(SharedScheduler shared)
{
    private TestScheduler Scheduler => shared.Scheduler;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Token_IsMadeListedUsedAndRevoked_AndItsTextIsToldOnce()
    {
        var expires = DateTimeOffset.UtcNow.AddDays(1).ToTimestamp();
        var made = await Scheduler.Tokens().CreateTokenAsync(
            new CreateTokenRequest { Name = "laptop", Owner = "carla", Scope = Scope.Submitter, ExpiresAt = expires });

        (await Scheduler.SubmitWaitingAsync(token: made.Secret)).Owner.ShouldBe("carla");
        var listed = (await Scheduler.Tokens().ListTokensAsync(new ListTokensRequest { Owner = "carla" })).Tokens.ShouldHaveSingleItem();
        listed.ShouldSatisfyAllConditions(
            () => listed.Id.ShouldBe(made.Token.Id), () => listed.Name.ShouldBe("laptop"), () => listed.Scope.ShouldBe(Scope.Submitter),
            () => listed.CreatedBy.ShouldBe("admin"), () => listed.RevokedAt.ShouldBeNull(),
            () => (listed.ExpiresAt - expires).ToTimeSpan().Duration().ShouldBeLessThan(TimeSpan.FromMilliseconds(1)),
            () => listed.ToString().ShouldNotContain(made.Secret));

        var revoked = await Scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = made.Token.Id[..8] });
        revoked.Token.RevokedAt.ShouldNotBeNull();
        (await Should.ThrowAsync<RpcException>(() => Scheduler.SubmitWaitingAsync(token: made.Secret))).Status.ShouldSatisfyAllConditions(
            status => status.StatusCode.ShouldBe(StatusCode.Unauthenticated),
            status => status.Detail.ShouldBe("the token 'laptop' of carla is revoked; ask for another one"));
    }

    [Fact]
    public async Task List_GoesThroughItsPages_NewestFirst()
    {
        for (var i = 0; i < 5; i++)
            await Scheduler.AddTokenAsync($"token {i} of pia", "pia", Scope.Viewer, name: $"{i}");

        var (names, page) = (new List<string>(), new ListTokensResponse());
        do
        {
            page = await Scheduler.Tokens().ListTokensAsync(
                new ListTokensRequest { Owner = "pia", PageSize = 2, PageToken = page.NextPageToken });
            names.AddRange(page.Tokens.Select(token => token.Name));
        }
        while (page.NextPageToken.Length > 0);

        names.ShouldBe(["4", "3", "2", "1", "0"]);
    }

    [Theory]
    [InlineData("", "carla", Scope.Viewer, "name is empty")]
    [InlineData("laptop", " ", Scope.Viewer, "owner is empty")]
    [InlineData("lap\ntop", "carla", Scope.Viewer, "control character")]
    [InlineData("laptop", "carla", Scope.Node, "scope is Node")]
    [InlineData("laptop", "carla", Scope.Attempt, "scope is Attempt")]
    [InlineData("laptop", "carla", Scope.Unspecified, "scope is Unspecified")]
    [InlineData("laptop", "carla", (Scope)99, "scope is 99")]
    public async Task Token_ThatCannotBeMeant_IsRefused(string name, string owner, Scope scope, string problem)
    {
        var refusal = await Should.ThrowAsync<RpcException>(async () => await Scheduler.Tokens().CreateTokenAsync(
            new CreateTokenRequest { Name = name, Owner = owner, Scope = scope }));

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldContain(problem);
    }

    /// <summary>As the fuzzing of every RPC found it: such a time ended the call inside the scheduler.</summary>
    [Theory]
    [InlineData(0, -13)]
    [InlineData(19, int.MaxValue)]
    [InlineData(long.MaxValue, 0)]
    public async Task Expiry_ThatIsNoTime_IsRefused(long seconds, int nanos)
    {
        var request = new CreateTokenRequest
        {
            Name = "laptop",
            Owner = "carla",
            Scope = Scope.Viewer,
            ExpiresAt = new Timestamp { Seconds = seconds, Nanos = nanos },
        };

        var refusal = await Should.ThrowAsync<RpcException>(async () => await Scheduler.Tokens().CreateTokenAsync(request));

        refusal.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        refusal.Status.Detail.ShouldStartWith("expires_at is ");
    }

    [Fact]
    public async Task OpenStream_TellsNoMore_OnceItsTokenIsRevoked()
    {
        const string Text = "a-token-that-watches-and-is-revoked";
        var id = await Scheduler.AddTokenAsync(Text, "wanda", Scope.Viewer);
        var job = await Scheduler.SubmitWaitingAsync();
        using var watch = Scheduler.Jobs(Text).WatchJob(new WatchJobRequest { JobId = job.Id });
        (await watch.ResponseStream.MoveNext(Cancelled)).ShouldBeTrue();

        await Scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{id}" });
        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        var end = await Should.ThrowAsync<RpcException>(async () =>
        {
            // What was on its way (the queue's standing) still comes.
            while (await watch.ResponseStream.MoveNext(Cancelled))
                watch.ResponseStream.Current.Job.State.ShouldNotBe(JobState.Cancelled);
        });
        end.StatusCode.ShouldBe(StatusCode.Unauthenticated);
        end.Status.Detail.ShouldContain("is revoked");
    }

    [Fact]
    public async Task Revocation_IsHeardOfAtAnotherScheduler()
    {
        const string Text = "a-token-that-two-schedulers-know";
        var id = await Scheduler.AddTokenAsync(Text, "carla", Scope.Viewer);
        // The other one looks by itself once in ten minutes: what it knows sooner it was told.
        using var other = await StartOtherAsync();
        var tokens = other.Services.GetRequiredService<TokenRegister>();
        (await tokens.FindAsync(Text, Cancelled)).Standing.ShouldBe(TokenStanding.Valid);

        await Scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{id}" });

        await Eventually.HoldsAsync(async () => (await tokens.FindAsync(Text, Cancelled)).Standing == TokenStanding.Revoked);
        await other.StopAsync(Cancelled);
    }

    private async Task<IHost> StartOtherAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([new("Persistence:ConnectionString", Scheduler.ConnectionString)]);
        var options = Scheduler.Get<Microsoft.Extensions.Options.IOptions<AccessOptions>>().Value;
        builder.Services.Configure<AccessOptions>(other =>
            (other.AdminTokenFile, other.RefreshInterval) = (options.AdminTokenFile, TimeSpan.FromMinutes(10)));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration);
        builder.Services.AddSingleton<TokenStore>();
        builder.Services.AddSingleton<TokenFiles>();
        builder.Services.AddSingleton<TokenRegister>();
        builder.Services.AddSingleton<WorkspaceStore>();
        builder.Services.AddSingleton<WorkspaceDirectory>();
        builder.Services.AddSingleton<AccessRefresh>();
        builder.Services.AddSingleton<IDatabaseListener>(provider => provider.GetRequiredService<AccessRefresh>());
        builder.Services.AddHostedService(provider => provider.GetRequiredService<AccessRefresh>());
        builder.Services.AddSingleton<JobFeed>();
        builder.Services.AddHostedService<JobFeedRelay>();
        var host = builder.Build();
        var feed = host.Services.GetRequiredService<JobFeed>();
        using var all = feed.SubscribeToAll(JobChange.All);
        await host.StartAsync(Cancelled);
        // It wakes everyone when it begins to listen.
        await all.WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
        return host;
    }
}
