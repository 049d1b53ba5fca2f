using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Cluster.Scheduler.Tests.Access;

public sealed class TokenTests(PostgresServer postgres) : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cluster-tests-tokens-").FullName;
    private TestCluster _cluster = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private TokenRegister Tokens => _cluster.Get<TokenRegister>();

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync(postgres, services =>
    {
        services.Configure<AccessOptions>(options => options.CacheDuration = TimeSpan.FromSeconds(30));
        services.AddSingleton<TokenRegister>();
    });

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Token_IsRememberedForTheCacheDuration_AndNoLonger()
    {
        await Tokens.AddAsync("the token of carla", "carla", Scope.Viewer, Token);
        (await Tokens.FindAsync("the token of carla", Token)).ShouldBe(new Caller("carla", Scope.Viewer));
        await WithdrawAllAsync();

        _cluster.Time.Advance(TimeSpan.FromSeconds(29));
        (await Tokens.FindAsync("the token of carla", Token)).ShouldNotBeNull();
        _cluster.Time.Advance(TimeSpan.FromSeconds(1));
        (await Tokens.FindAsync("the token of carla", Token)).ShouldBeNull();
    }

    [Fact]
    public async Task UnknownToken_IsNotRemembered_SoThatANewOneWorksAtOnce()
    {
        (await Tokens.FindAsync("the token of dora", Token)).ShouldBeNull();

        await Tokens.AddAsync("the token of dora", "dora", Scope.Operator, Token);

        (await Tokens.FindAsync("the token of dora", Token)).ShouldBe(new Caller("dora", Scope.Operator));
    }

    [Fact]
    public async Task Bootstrap_MakesTheFilesTokensKnown_AndWithdrawsThoseThatStoodThereBefore()
    {
        await Tokens.AddAsync("the token of emil", "emil", Scope.Admin, Token);
        await BootstrapAsync("first-administrators-token", "first-token-of-the-nodes");
        await BootstrapAsync("  second-administrators-token  \nand a remark", "first-token-of-the-nodes");

        (await Tokens.FindAsync("second-administrators-token", Token)).ShouldBe(new Caller("admin", Scope.Admin));
        (await Tokens.FindAsync("first-token-of-the-nodes", Token)).ShouldBe(new Caller("nodes", Scope.Node));
        (await Tokens.FindAsync("first-administrators-token", Token)).ShouldBeNull();
        (await Tokens.FindAsync("the token of emil", Token)).ShouldNotBeNull("it came from no file");
    }

    [Theory]
    [InlineData(null, "a-good-token-of-the-nodes", "Access:AdminTokenFile", "does not exist")]
    [InlineData("an-administrators-token", null, "Access:NodeTokenFile", "does not exist")]
    [InlineData("too-short", "a-good-token-of-the-nodes", "Access:AdminTokenFile", "has 9 characters; use 20 or more")]
    [InlineData("", "a-good-token-of-the-nodes", "Access:AdminTokenFile", "has 0 characters")]
    [InlineData("one-token-for-all-of-them", "one-token-for-all-of-them", "Access:NodeTokenFile", "administrator's too")]
    public async Task Bootstrap_WithoutTwoGoodTokens_RefusesAndNamesTheSetting(string? admin, string? node, string setting, string problem)
    {
        var refusal = await Should.ThrowAsync<OptionsValidationException>(() => BootstrapAsync(admin, node));

        refusal.Message.ShouldContain(setting);
        refusal.Message.ShouldContain(_folder);
        refusal.Message.ShouldContain(problem);
    }

    [Fact]
    public async Task Scheduler_WithoutATokenFile_DoesNotStart()
    {
        var refusal = await Should.ThrowAsync<OptionsValidationException>(
            () => TestScheduler.StartAsync(postgres, ("Access:AdminTokenFile", "/nowhere/token")));

        refusal.Message.ShouldContain("Access:AdminTokenFile is '/nowhere/token'");
    }

    private async Task BootstrapAsync(string? admin, string? node)
    {
        var options = new AccessOptions { AdminTokenFile = Write("admin", admin), NodeTokenFile = Write("node", node) };
        await new TokenBootstrap(Tokens, Options.Create(options), NullLogger<TokenBootstrap>.Instance).StartAsync(Token);
    }

    private string Write(string name, string? text)
    {
        var path = Path.Combine(_folder, name);
        if (text is not null)
            File.WriteAllText(path, text);
        return path;
    }

    private async Task WithdrawAllAsync()
    {
        await using var command = _cluster.Get<NpgsqlDataSource>().CreateCommand("delete from tokens");
        await command.ExecuteNonQueryAsync(Token);
    }
}
