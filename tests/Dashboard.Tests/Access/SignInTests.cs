using System.Net;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Access;

/// <summary>Who gets in, and by what.</summary>
[Collection(typeof(Visitors))]
public sealed class SignInTests(Visitor visitor) : IAsyncDisposable
{
    private readonly HttpClient _http =
        new(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri(visitor.Dashboard.Address) };

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync()
    {
        _http.Dispose();
        return visitor.LeaveAsync();
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/jobs?q=x")]
    [InlineData("/runs.csv")]
    [InlineData("/checkpoints/0123/weights")]
    [InlineData("/_blazor")]
    public async Task WithoutASession_NothingIsShown(string path)
    {
        using var answer = await _http.GetAsync(path, Cancelled);

        answer.StatusCode.ShouldBe(HttpStatusCode.Redirect);
        answer.Headers.Location!.ToString().ShouldContain("/sign-in?to=");
    }

    [Theory]
    [InlineData("/sign-in", "text/html")]
    [InlineData("/style.css", "text/css")]
    [InlineData("/charts.js", "text/javascript")]
    public async Task SignInPage_AndFiles_AreServedToAnyone_AndRunNoScriptFromElsewhere(string path, string type)
    {
        using var answer = await _http.GetAsync(path, Cancelled);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        answer.Content.Headers.ContentType!.MediaType.ShouldBe(type);
        answer.Headers.GetValues("Content-Security-Policy").First().ShouldStartWith("default-src 'self';");
        answer.Headers.GetValues("X-Content-Type-Options").ShouldHaveSingleItem().ShouldBe("nosniff");
    }

    [Fact]
    public async Task Session_IsACookieThatNoScriptReads_AndTooShortToHoldMoreThanAKey()
    {
        using var answer = await SignInAsync(FakeScheduler.Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.Redirect);
        var cookie = answer.Headers.GetValues("Set-Cookie").ShouldHaveSingleItem();
        cookie.ShouldContain("httponly", Case.Insensitive);
        cookie.ShouldContain("samesite=lax", Case.Insensitive);
        cookie.ShouldNotContain(FakeScheduler.Token);
        // A sealed token would make it longer the longer the token is.
        using var other = await SignInAsync(FakeScheduler.OtherToken);
        KeyOf(other).Length.ShouldBe(KeyOf(answer).Length);
    }

    [Fact]
    public async Task Session_ThatIsSignedOut_IsOver_AlsoForACopyOfItsCookie()
    {
        using var signedIn = await SignInAsync(FakeScheduler.Token);
        var session = KeyOf(signedIn);
        (await StatusAsync(HttpMethod.Get, "/jobs", session)).ShouldBe(HttpStatusCode.OK);

        (await StatusAsync(HttpMethod.Post, "/sign-out", session)).ShouldBe(HttpStatusCode.Redirect);

        (await StatusAsync(HttpMethod.Get, "/jobs", session)).ShouldBe(HttpStatusCode.Redirect);
    }

    [Fact]
    public async Task SignIn_BeginsANewSession_WhateverCookieTheBrowserComesWith()
    {
        using var planted = await SignInAsync(FakeScheduler.OtherToken);
        using var signedIn = await SignInAsync(
            FakeScheduler.Token, header: ("Cookie", $"cluster-session-{new Uri(visitor.Dashboard.Address).Port}={KeyOf(planted)}"));
        await StatusAsync(HttpMethod.Post, "/sign-out", KeyOf(planted));

        (await StatusAsync(HttpMethod.Get, "/jobs", KeyOf(signedIn))).ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Session_IsKnownToReplicasThatShareTheKeys_AndToNoOthers()
    {
        using var signedIn = await SignInAsync(FakeScheduler.Token);
        var session = signedIn.Headers.GetValues("Set-Cookie").Single().Split(';')[0].Split('=', 2)[1];
        await using var stranger = await DashboardProcess.StartAsync(visitor.Scheduler.Address);
        await using var replica = await visitor.Dashboard.StartReplicaAsync();

        (await StatusAsync(replica)).ShouldBe(HttpStatusCode.OK);
        (await StatusAsync(stranger)).ShouldBe(HttpStatusCode.Redirect);

        async Task<HttpStatusCode> StatusAsync(DashboardProcess dashboard)
        {
            using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{dashboard.Address}/jobs");
            // Replicas listen on the same port, each on a machine of its own.
            request.Headers.Add("Cookie", $"cluster-session-{new Uri(dashboard.Address).Port}={session}");
            using var answer = await http.SendAsync(request, Cancelled);
            return answer.StatusCode;
        }
    }

    [Theory]
    [InlineData("wrong", "not known")]
    [InlineData("", "no token")]
    [InlineData("two\nlines", "no token")]
    public async Task WrongToken_IsRefused_InWords(string token, string said)
    {
        using var answer = await SignInAsync(token);

        answer.Headers.Contains("Set-Cookie").ShouldBeFalse();
        (await answer.Content.ReadAsStringAsync(Cancelled)).ShouldContain(said);
    }

    [Theory]
    [InlineData("//elsewhere.example/")]
    [InlineData("https://elsewhere.example/")]
    [InlineData("/\\elsewhere.example")]
    public async Task SignIn_LeadsNowhereElse(string to)
    {
        using var answer = await SignInAsync(FakeScheduler.Token, to);

        answer.Headers.Location!.ToString().ShouldBe("/");
    }

    [Theory]
    [InlineData("Origin", "http://127.0.0.1:1")]
    [InlineData("Origin", "null")]
    [InlineData("Sec-Fetch-Site", "same-site")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    public async Task PageOfAnotherOrigin_MayNeitherSignIn_NorOpenAWebSocket(string header, string value)
    {
        using var signIn = await SignInAsync(FakeScheduler.Token, header: (header, value));
        signIn.StatusCode.ShouldBe(HttpStatusCode.Forbidden);

        using var socket = new HttpRequestMessage(HttpMethod.Get, "/_blazor")
        {
            Headers = { { header, value }, { "Upgrade", "websocket" }, { "Connection", "Upgrade" } },
        };
        using var opened = await _http.SendAsync(socket, Cancelled);
        opened.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
    }

    /// <summary>As of another port of the same machine, to which the browser sends the cookie.</summary>
    [Fact]
    public async Task Forgery_InASession_IsRefused_AndTheAuditIsTold()
    {
        using var signedIn = await SignInAsync(FakeScheduler.Token);
        var session = KeyOf(signedIn);

        (await StatusAsync(HttpMethod.Post, "/sign-out", session, origin: "http://127.0.0.1:1")).ShouldBe(HttpStatusCode.Forbidden);

        (await StatusAsync(HttpMethod.Get, "/jobs", session)).ShouldBe(HttpStatusCode.OK);
        visitor.Scheduler.Forgeries.ShouldHaveSingleItem().ShouldBe(new NoteForgeryRequest
        {
            Request = "POST /sign-out",
            Origin = "http://127.0.0.1:1",
            Visitor = "127.0.0.1",
        });
        visitor.Scheduler.Forgeries.Clear();
    }

    [Fact]
    public async Task Forgery_WithoutASession_IsRefused_AndNobodysInTheAudit()
    {
        using var signIn = await SignInAsync(FakeScheduler.Token, header: ("Origin", "http://127.0.0.1:1"));

        signIn.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        visitor.Scheduler.Forgeries.ShouldBeEmpty();
    }

    [Fact]
    public async Task Form_SignsIn_AndLeadsToWhereTheVisitorWanted()
    {
        var page = await visitor.NewPageAsync();

        await page.GotoAsync($"{visitor.Dashboard.Address}/nodes?q=a");
        await page.GetByLabel("Token").FillAsync(FakeScheduler.Token);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();

        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Nodes");
        page.Url.ShouldEndWith("/nodes?q=a");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Sign in");
        await page.GotoAsync(visitor.Dashboard.Address);
        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Sign in");
    }

    /// <summary>An address is kept by the browser's history, and shown to who looks over a shoulder.</summary>
    [Theory]
    [InlineData("/#token=")]
    [InlineData("/?token=")]
    [InlineData("/sign-in?token=")]
    [InlineData("/sign-in#token=")]
    public async Task Token_InAnAddress_SignsNobodyIn(string address)
    {
        var page = await visitor.NewPageAsync();

        await page.GotoAsync(visitor.Dashboard.Address + address + FakeScheduler.Token);
        await page.WaitForLoadStateAsync(LoadState.NetworkIdle);

        await Assertions.Expect(page.Locator("h1")).ToHaveTextAsync("Sign in");
        (await page.Context.CookiesAsync()).ShouldBeEmpty();
    }

    private static string KeyOf(HttpResponseMessage signedIn) =>
        signedIn.Headers.GetValues("Set-Cookie").Single().Split(';')[0].Split('=', 2)[1];

    private async Task<HttpStatusCode> StatusAsync(HttpMethod method, string path, string session, string? origin = null)
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
        using var request = new HttpRequestMessage(method, visitor.Dashboard.Address + path);
        request.Headers.Add("Cookie", $"cluster-session-{new Uri(visitor.Dashboard.Address).Port}={session}");
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        using var answer = await http.SendAsync(request, Cancelled);
        return answer.StatusCode;
    }

    private async Task<HttpResponseMessage> SignInAsync(string token, string to = "/", (string Name, string Value)? header = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/sign-in")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["token"] = token, ["to"] = to }),
        };
        if (header is { } sent)
            request.Headers.Add(sent.Name, sent.Value);
        return await _http.SendAsync(request, Cancelled);
    }
}
