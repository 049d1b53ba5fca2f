using System.Net;
using Cluster.Dashboard.Tests.Fixtures;
using Cluster.Tests.Shared;

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

    [Fact]
    public async Task Secrets_AreInNoLineOfALog_OfAnyLevel()
    {
        const string WrongSecret = "planted-secret-of-another-client";
        const string WrongToken = "planted-token-of-nobody";
        var seen = new List<string>();
        await using var talkative = await dashboard.StartTalkativeAsync(TestProvider.ClientSecret);
        await using var refused = await dashboard.StartTalkativeAsync(WrongSecret);
        (await FollowAsync("/sign-in/provider?to=/jobs", seen, talkative)).Dispose();
        (await SignInAsync(talkative, FakeScheduler.Token)).Dispose();
        (await SignInAsync(talkative, WrongToken)).Dispose();

        using (var page = await FollowAsync("/sign-in/provider?to=/jobs", seen, refused))
            page.RequestMessage!.RequestUri!.Query.ShouldBe("?refused=true");
        await talkative.StopAsync();
        await refused.StopAsync();

        var said = talkative.Output.Concat(refused.Output).ToList();
        said.ShouldContain(line => line.Contains("trce: ", StringComparison.Ordinal));
        said.ShouldContain(line => line.Contains("OpenIdConnect", StringComparison.Ordinal));
        var keys = seen.Where(text => text.StartsWith("cluster-session", StringComparison.Ordinal))
            .Select(cookie => cookie.Split(';')[0].Split('=', 2)[1]).Where(key => key.Length > 0).ToList();
        keys.ShouldNotBeEmpty();
        string[] secrets =
        [
            TestProvider.ClientSecret, WrongSecret, FakeScheduler.Token, WrongToken, FakeScheduler.SignedTokens.Last(), .. keys,
        ];
        foreach (var secret in secrets)
            said.ShouldNotContain(line => line.Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public void WhatHoldsASecret_DoesNotSayItAsText() =>
        SecretHolders.In(typeof(Hosting.DashboardOptions).Assembly).Telling.ShouldBeEmpty();

    private async Task<HttpResponseMessage> SignInAsync(DashboardProcess at, string token)
    {
        using var form = new FormUrlEncodedContent(new Dictionary<string, string> { ["token"] = token });
        return await _http.PostAsync(new Uri($"{at.Address}/sign-in"), form, Cancelled);
    }

    /// <param name="path">Of the dashboard.</param>
    /// <param name="seen">Takes every address and cookie on the way.</param>
    /// <param name="at">Another one than that which all tests have.</param>
    private async Task<HttpResponseMessage> FollowAsync(string path, List<string> seen, DashboardProcess? at = null)
    {
        var next = new Uri((at?.Address ?? dashboard.Address) + path);
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
