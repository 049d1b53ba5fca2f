using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Tests.Access;

public sealed class TokenTests(PostgresServer postgres) : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cluster-tests-tokens-").FullName;
    private TestCluster _cluster = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private TokenRegister Tokens => _cluster.Get<TokenRegister>();

    private TokenStore Store => _cluster.Get<TokenStore>();

    public async ValueTask InitializeAsync()
    {
        _cluster = await TestCluster.StartAsync(postgres, services =>
        {
            services.Configure<AccessOptions>(options => options.AdminTokenFile = Write("admin", "an-administrators-token"));
            services.AddSingleton<TokenFiles>();
            services.AddSingleton<TokenRegister>();
        });
        await Tokens.LoadAsync(Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Token_IsKnownWithItsOwnerAndScope_UntilItExpires()
    {
        var id = await AddAsync("the token of carla", "carla", Scope.Operator, _cluster.Time.GetUtcNow() + TimeSpan.FromHours(1));
        await Tokens.LoadAsync(Token);

        (await Tokens.FindAsync("the token of carla", Token)).ShouldBe(new TokenFinding(
            TokenStanding.Valid, new Caller("carla", Scope.Operator) { TokenName = "laptop", TokenId = id }));
        _cluster.Time.Advance(TimeSpan.FromMinutes(59));
        (await Tokens.FindAsync("the token of carla", Token)).Standing.ShouldBe(TokenStanding.Valid);
        _cluster.Time.Advance(TimeSpan.FromMinutes(1));
        (await Tokens.FindAsync("the token of carla", Token)).Standing.ShouldBe(TokenStanding.Expired);
    }

    [Fact]
    public async Task Token_ThatIsRevoked_IsSoOnceTheTokensAreReadAgain_AndKeepsItsTime()
    {
        var id = await AddAsync("the token of carla", "carla", Scope.Viewer);
        await Store.RevokeAsync(id, Token);
        _cluster.Time.Advance(TimeSpan.FromHours(1));
        await Store.RevokeAsync(id, Token);
        await Tokens.LoadAsync(Token);

        (await Tokens.FindAsync("the token of carla", Token)).Standing.ShouldBe(TokenStanding.Revoked);
        (await Store.LoadAsync(Token)).Single().RevokedAt.ShouldBe(_cluster.Time.GetUtcNow() - TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task UnknownToken_OfAnyOtherForm_CostsNoQuery()
    {
        await TestDatabase.ExecuteAsync(_cluster, "alter table tokens rename to tokens_away");

        var checksumIsWrong = AccessSecret.Make(AccessSecret.Token)[..^1] + "!";
        foreach (var guess in new[] { "guess", "", checksumIsWrong, AccessSecret.Make(AccessSecret.Enrollment), new string('x', 100_000) })
            (await Tokens.FindAsync(guess, Token)).Standing.ShouldBe(TokenStanding.Unknown);

        // And this one would have: the table is needed for it.
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));
        await Should.ThrowAsync<Exception>(async () => await Tokens.FindAsync(AccessSecret.Make(AccessSecret.Token), Token));
    }

    [Fact]
    public async Task TokenThatAnotherSchedulerHasMade_WorksAtItsFirstCall()
    {
        var token = AccessSecret.Make(AccessSecret.Token);
        await AddAsync(token, "dora", Scope.Operator);
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));

        (await Tokens.FindAsync(token, Token)).Caller!.Owner.ShouldBe("dora");
    }

    [Fact]
    public async Task UnknownTokens_OfTheRightForm_HaveTheTokensReadOnceASecond_HoweverManyThereAre()
    {
        var calls = Enumerable.Range(0, 100)
            .Select(_ => Tokens.FindAsync(AccessSecret.Make(AccessSecret.Token), Token).AsTask()).ToList();
        var late = AccessSecret.Make(AccessSecret.Token);
        await AddAsync(late, "dora", Scope.Operator);
        var ofTheNewOne = Tokens.FindAsync(late, Token).AsTask();

        // They were read a moment ago, so all wait.
        calls.Append(ofTheNewOne).ShouldAllBe(call => !call.IsCompleted);
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));

        (await Task.WhenAll(calls)).ShouldAllBe(finding => finding.Standing == TokenStanding.Unknown);
        (await ofTheNewOne).Caller!.Owner.ShouldBe("dora");
    }

    [Fact]
    public async Task Use_IsWrittenAtMostOnceAMinute()
    {
        await AddAsync("the token of carla", "carla", Scope.Viewer);
        await Tokens.LoadAsync(Token);
        var first = _cluster.Time.GetUtcNow();

        await UseAsync();
        (await LastUseAsync()).ShouldBe(first);
        _cluster.Time.Advance(TimeSpan.FromSeconds(59));
        await UseAsync();
        (await LastUseAsync()).ShouldBe(first);
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));
        await UseAsync();
        (await LastUseAsync()).ShouldBe(first + TimeSpan.FromMinutes(1));

        async Task UseAsync()
        {
            await Tokens.FindAsync("the token of carla", Token);
            await Tokens.StoreUsesAsync(Token);
        }

        async Task<DateTimeOffset?> LastUseAsync() => (await Store.LoadAsync(Token)).Single().LastUsedAt;
    }

    [Fact]
    public async Task AdministratorsToken_IsExchanged_WithoutARestart_AndBothWorkMeanwhile()
    {
        Write("admin", "an-administrators-token\nanother-administrators-token\n");
        await Tokens.LoadAsync(Token);
        (await StandingAsync("an-administrators-token")).ShouldBe(TokenStanding.Valid);
        (await StandingAsync("another-administrators-token")).ShouldBe(TokenStanding.Valid);

        Write("admin", "another-administrators-token\n");
        await Tokens.LoadAsync(Token);
        (await StandingAsync("an-administrators-token")).ShouldBe(TokenStanding.Unknown);
        (await StandingAsync("another-administrators-token")).ShouldBe(TokenStanding.Valid);

        // A slip of the hand locks nobody out.
        Write("admin", "");
        await Should.ThrowAsync<OptionsValidationException>(() => Tokens.LoadAsync(Token));
        (await StandingAsync("another-administrators-token")).ShouldBe(TokenStanding.Valid);

        async Task<TokenStanding> StandingAsync(string token) => (await Tokens.FindAsync(token, Token)).Standing;
    }

    [Theory]
    [InlineData(null, "a-good-token-of-the-nodes", "Access:AdminTokenFile", "does not exist")]
    [InlineData("an-administrators-token", null, "Access:NodeTokenFile", "does not exist")]
    [InlineData("too-short", "a-good-token-of-the-nodes", "Access:AdminTokenFile", "has 9 characters; use 20 or more")]
    [InlineData("", "a-good-token-of-the-nodes", "Access:AdminTokenFile", "has 0 lines")]
    [InlineData("an-administrators-token\nanother-administrators-token\na-third-administrators-token", "a-good-token-of-the-nodes",
        "Access:AdminTokenFile", "has 3 lines")]
    [InlineData("one-token-for-all-of-them", "one-token-for-all-of-them", "Access:NodeTokenFile", "administrator's too")]
    public void Files_WithoutGoodTokens_AreRefused_AndTheSettingIsNamed(string? admin, string? node, string setting, string problem)
    {
        var options = new AccessOptions { AdminTokenFile = Write("other-admin", admin), NodeTokenFile = Write("node", node) };

        var refusal = Should.Throw<OptionsValidationException>(() => new TokenFiles(Options.Create(options)).Read());

        refusal.Message.ShouldContain(setting);
        refusal.Message.ShouldContain(_folder);
        refusal.Message.ShouldContain(problem);
    }

    [Fact]
    public void NodesToken_MayBeMissing_WhereAllNodesAreEnrolled() =>
        new TokenFiles(Options.Create(new AccessOptions { AdminTokenFile = Write("other-admin", "an-administrators-token") })).Read()
            .ShouldHaveSingleItem().Caller.Scope.ShouldBe(Scope.Admin);

    [Fact]
    public async Task Scheduler_WithoutATokenFile_DoesNotStart()
    {
        var refusal = await Should.ThrowAsync<OptionsValidationException>(
            () => TestScheduler.StartAsync(postgres, ("Access:AdminTokenFile", "/nowhere/token")));

        refusal.Message.ShouldContain("Access:AdminTokenFile is '/nowhere/token'");
    }

    private async Task<Guid> AddAsync(string token, string owner, Scope scope, DateTimeOffset? expiresAt = null)
    {
        var row = new TokenRow
        {
            Hash = AccessSecret.Hash(token),
            Id = Guid.NewGuid(),
            Name = "laptop",
            Owner = owner,
            Scope = scope,
            CreatedAt = _cluster.Time.GetUtcNow(),
            CreatedBy = "admin",
            ExpiresAt = expiresAt,
        };
        await Store.AddAsync(row, Token);
        return row.Id;
    }

    private string Write(string name, string? text)
    {
        var path = Path.Combine(_folder, name);
        if (text is not null)
            File.WriteAllText(path, text);
        return path;
    }
}
