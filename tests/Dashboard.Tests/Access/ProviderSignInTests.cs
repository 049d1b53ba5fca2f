using System.Net;
using Cluster.Dashboard.Tests.Fixtures;
using Cluster.Tests.Shared;

namespace Cluster.Dashboard.Tests.Access;

/// <summary>Visitors whom a real OpenID Connect provider, on loopback, signs in.</summary>
public sealed class ProviderSignInTests : IAsyncLifetime
{
    private readonly FakeScheduler _scheduler = new(FreePorts.Take());
    private readonly TestProvider _provider = new();
    private readonly string _secret = Path.GetTempFileName();
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    private DashboardProcess _dashboard = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _scheduler.StartAsync();
        await _provider.StartAsync(Cancelled);
        await File.WriteAllTextAsync(_secret, TestProvider.ClientSecret + "\n", Cancelled);
        _dashboard = await DashboardProcess.StartAsync(
            _scheduler.Address, ("IdentityProvider__Authority", _provider.Address), ("IdentityProvider__ClientId", TestProvider.ClientId),
            ("IdentityProvider__ClientSecretFile", _secret));
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_dashboard is not null)
            await _dashboard.DisposeAsync();
        await _provider.DisposeAsync();
        await _scheduler.DisposeAsync();
        File.Delete(_secret);
    }

    [Fact]
    public async Task Visitor_IsSignedInByTheProvider_AndNoTokenIsInAnAddressOrACookie()
    {
        var seen = new List<string>();

        using var page = await FollowAsync("/sign-in/provider?to=/jobs", seen);

        page.StatusCode.ShouldBe(HttpStatusCode.OK);
        page.RequestMessage!.RequestUri!.ToString().ShouldBe($"{_dashboard.Address}/jobs");
        seen.Count.ShouldBeGreaterThan(3);
        var token = FakeScheduler.SignedTokens.Last();
        token.Length.ShouldBeGreaterThan(100);
        seen.ShouldNotContain(text => text.Contains(token, StringComparison.Ordinal));
    }

    [Fact]
    public async Task WayBack_ThatNobodySetOutOn_SignsNobodyIn()
    {
        var seen = new List<string>();

        using var page = await FollowAsync("/sign-in/provider/back?code=forged&state=forged", seen);

        page.RequestMessage!.RequestUri!.ToString().ShouldBe($"{_dashboard.Address}/sign-in?refused=true");
        (await page.Content.ReadAsStringAsync(Cancelled)).ShouldContain("The sign-in broke off");
        seen.ShouldNotContain(text => text.Contains("cluster-session", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SignInPage_LeadsToTheProvider()
    {
        using var page = await _http.GetAsync(new Uri($"{_dashboard.Address}/sign-in?to=/runs"), Cancelled);

        (await page.Content.ReadAsStringAsync(Cancelled)).ShouldContain("href=\"/sign-in/provider?to=%2Fruns\"");
    }

    /// <param name="path">Of the dashboard.</param>
    /// <param name="seen">Takes every address and cookie on the way.</param>
    private async Task<HttpResponseMessage> FollowAsync(string path, List<string> seen)
    {
        var next = new Uri(_dashboard.Address + path);
        while (true)
        {
            var answer = await _http.GetAsync(next, Cancelled);
            seen.Add($"{next}");
            if (answer.Headers.TryGetValues("Set-Cookie", out var cookies))
                seen.AddRange(cookies);
            if (answer.Headers.Location is not { } location || seen.Count > 50)
                return answer;
            answer.Dispose();
            next = new Uri(next, location);
        }
    }
}
