using System.Net;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Access;

/// <summary>Visitors whom a real OpenID Connect provider, on loopback, signs in.</summary>
public sealed class ProviderSignInTests(DashboardWithProvider dashboard) : IClassFixture<DashboardWithProvider>, IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false });

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _http.Dispose();

    [Fact]
    public async Task Visitor_IsSignedInByTheProvider_AndNoTokenIsInAnAddressOrACookie()
    {
        var seen = new List<string>();

        using var page = await FollowAsync("/sign-in/provider?to=/jobs", seen);

        page.StatusCode.ShouldBe(HttpStatusCode.OK);
        page.RequestMessage!.RequestUri!.ToString().ShouldBe($"{dashboard.Address}/jobs");
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

        page.RequestMessage!.RequestUri!.ToString().ShouldBe($"{dashboard.Address}/sign-in?refused=true");
        (await page.Content.ReadAsStringAsync(Cancelled)).ShouldContain("The sign-in broke off");
        seen.ShouldNotContain(text => text.Contains("cluster-session", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SignInPage_LeadsToTheProvider()
    {
        using var page = await _http.GetAsync(new Uri($"{dashboard.Address}/sign-in?to=/runs"), Cancelled);

        (await page.Content.ReadAsStringAsync(Cancelled)).ShouldContain("href=\"/sign-in/provider?to=%2Fruns\"");
    }

    /// <param name="path">Of the dashboard.</param>
    /// <param name="seen">Takes every address and cookie on the way.</param>
    private async Task<HttpResponseMessage> FollowAsync(string path, List<string> seen)
    {
        var next = new Uri(dashboard.Address + path);
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
