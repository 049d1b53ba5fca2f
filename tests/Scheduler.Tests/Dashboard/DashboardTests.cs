using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Dashboard;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Dashboard;

[Collection(typeof(ApiTests))]
public sealed class DashboardTests(SharedScheduler shared) : IDisposable
{
    private readonly HttpClient _browser = shared.Scheduler.Browser();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private TestScheduler Scheduler => shared.Scheduler;

    public void Dispose() => _browser.Dispose();

    [Theory]
    [InlineData("/api/session")]
    [InlineData("/api/jobs/stream")]
    [InlineData("/api/jobs/0123abcd/stream")]
    public async Task Data_WithoutAToken_OrWithAWrongOne_IsUnauthorized(string path)
    {
        (await _browser.GetAsync(path, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        foreach (var token in new[] { "wrong", TestScheduler.NodeToken })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Authorization", $"Bearer {token}" } } };
            (await _browser.SendAsync(request, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        }
    }

    [Fact]
    public async Task Session_IsACookieThatNoScriptReadsAndNoOtherSiteSends()
    {
        (await _browser.PostAsJsonAsync("/api/session", new { token = "wrong" }, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await _browser.PostAsJsonAsync("/api/session", new { }, Token)).IsSuccessStatusCode.ShouldBeFalse();
        var answer = await _browser.PostAsJsonAsync("/api/session", new { token = TestScheduler.ViewerToken }, Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        var cookie = answer.Headers.GetValues("Set-Cookie").ShouldHaveSingleItem().ToLowerInvariant();
        cookie.ShouldContain("httponly");
        cookie.ShouldContain("samesite=strict");
        (await _browser.GetAsync("/api/session", Token)).StatusCode.ShouldBe(HttpStatusCode.NoContent, "the browser has kept the cookie");
    }

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/app.js", "text/javascript")]
    public async Task Page_IsServedToAnyone_AndRunsNoScriptFromElsewhere(string path, string type)
    {
        var page = await _browser.GetAsync(path, Token);

        page.StatusCode.ShouldBe(HttpStatusCode.OK);
        page.Content.Headers.ContentType!.MediaType.ShouldBe(type);
        page.Headers.GetValues("Content-Security-Policy").ShouldHaveSingleItem().ShouldStartWith("default-src 'self'");
        page.Headers.GetValues("X-Content-Type-Options").ShouldHaveSingleItem().ShouldBe("nosniff");
    }

    public static TheoryData<string> Scripts => [.. Directory.EnumerateFiles(DashboardHosting.WebRoot, "*.js").Select(file => Path.GetFileName(file))];

    [Theory]
    [MemberData(nameof(Scripts))]
    public async Task Script_IsAModuleThatParses(string name)
    {
        var start = new ProcessStartInfo("node") { RedirectStandardInput = true, RedirectStandardError = true, ArgumentList = { "--check", "--input-type=module" } };
        using var node = Process.Start(start)!;
        await node.StandardInput.WriteAsync(await File.ReadAllTextAsync(Path.Combine(DashboardHosting.WebRoot, name), Token));
        node.StandardInput.Close();
        var complaint = await node.StandardError.ReadToEndAsync(Token);
        await node.WaitForExitAsync(Token);

        node.ExitCode.ShouldBe(0, complaint);
    }

    [Fact]
    public async Task List_SendsTheJobsThereAre_ThenReady_ThenWhatIsNewOrChanged()
    {
        var job = await Scheduler.SubmitWaitingAsync();
        await using var list = await OpenAsync("/api/jobs/stream");
        var before = new List<SseItem<string>>();
        while (before.LastOrDefault().EventType != "ready")
            before.Add(await list.NextAsync());
        before.Where(item => item.EventType == "job").Select(item => Job.Parser.ParseJson(item.Data).Id).ShouldContain(job.Id);

        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        // Other tests' jobs may still settle.
        Job changed;
        do
            changed = Job.Parser.ParseJson((await list.NextAsync()).Data);
        while (changed.Id != job.Id || changed.State != JobState.Cancelled);
    }

    [Fact]
    public async Task FinalJob_IsSentWithAllThereIsOfIt_AndThenTheStreamEnds()
    {
        var trainer = await Scheduler.RunAsync("dashboard-node");
        await trainer.LogAsync("epoch 1");
        await trainer.ReportAsync(new MetricPoint { Name = MetricNames.TrainLoss, Step = 1, Epoch = 1, Value = 2.5 });
        await using var live = await OpenAsync($"/api/jobs/{trainer.Job[..13]}/stream");
        await live.NextAsync();
        await trainer.ExitAsync();

        foreach (var page in new[] { live, await OpenAsync($"/api/jobs/{trainer.Job}/stream") })
        {
            var items = await page.RestAsync();
            items[^1].EventType.ShouldBe("end");
            Job.Parser.ParseJson(items.Last(item => item.EventType == "job").Data).State.ShouldBe(JobState.Succeeded);
            JobEvent.Parser.ParseJson(items.Last(item => item.EventType == "event").Data).ToState.ShouldBe(JobState.Succeeded);
            page.All.Where(item => item.EventType == "metrics").SelectMany(item => StreamMetricsResponse.Parser.ParseJson(item.Data).Points)
                .ShouldHaveSingleItem().Value.ShouldBe(2.5);
            page.All.Where(item => item.EventType == "log").SelectMany(item => StreamLogsResponse.Parser.ParseJson(item.Data).Lines)
                .ShouldHaveSingleItem().Text.ShouldBe("epoch 1");
            await page.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    [InlineData("no-id")]
    public async Task UnknownJob_IsNotFound(string id)
    {
        using var request = Authorized($"/api/jobs/{id}/stream");

        (await _browser.SendAsync(request, Token)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task AbandonedStreams_LeaveNoSubscription_AndNothingInTheLog()
    {
        var feed = Scheduler.Get<JobFeed>();
        await Eventually.HoldsAsync(() => feed.Subscriptions == 0);
        var errors = Errors();
        var job = await Scheduler.SubmitWaitingAsync();
        await using (var list = await OpenAsync("/api/jobs/stream"))
        await using (var one = await OpenAsync($"/api/jobs/{job.Id}/stream"))
        {
            await list.NextAsync();
            await one.NextAsync();
            // The list's one, and one each for the job's events, metrics and log.
            await Eventually.HoldsAsync(() => feed.Subscriptions == 4);
        }

        await Eventually.HoldsAsync(() => feed.Subscriptions == 0);
        Errors().ShouldBe(errors);

        int Errors() => Scheduler.Log.Entries.Count(entry => entry.Level >= LogLevel.Error);
    }

    private async Task<EventSource> OpenAsync(string path)
    {
        using var request = Authorized(path);
        var response = await _browser.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        return new EventSource(response, await response.Content.ReadAsStreamAsync(Token));
    }

    private static HttpRequestMessage Authorized(string path) =>
        new(HttpMethod.Get, path) { Headers = { { "Authorization", $"Bearer {TestScheduler.ViewerToken}" } } };

    private sealed class EventSource(HttpResponseMessage response, Stream stream) : IAsyncDisposable
    {
        private readonly IAsyncEnumerator<SseItem<string>> _items = SseParser.Create(stream).EnumerateAsync(Token).GetAsyncEnumerator(Token);
        private readonly List<SseItem<string>> _all = [];

        public IReadOnlyList<SseItem<string>> All => _all;

        public async Task<SseItem<string>> NextAsync()
        {
            (await _items.MoveNextAsync()).ShouldBeTrue("the stream has ended");
            _all.Add(_items.Current);
            return _items.Current;
        }

        public async Task<List<SseItem<string>>> RestAsync()
        {
            var rest = new List<SseItem<string>>();
            while (await _items.MoveNextAsync())
                rest.Add(_items.Current);
            _all.AddRange(rest);
            return rest;
        }

        public async ValueTask DisposeAsync()
        {
            await _items.DisposeAsync();
            response.Dispose();
        }
    }
}
