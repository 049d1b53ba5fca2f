using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Dashboard;
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

    public static TheoryData<string> Scripts =>
        [.. Directory.EnumerateFiles(DashboardHosting.WebRoot, "*.js").Select(file => Path.GetFileName(file))];

    [Theory]
    [MemberData(nameof(Scripts))]
    public async Task Script_IsAModuleThatParses(string name)
    {
        var start = new ProcessStartInfo("node")
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            ArgumentList = { "--check", "--input-type=module" },
        };
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

    [Fact]
    public async Task ValuesThatAreNotFinite_AreSentAsWhatTheyAre_WithEveryOtherCurve()
    {
        var experiment = await Scheduler.RunExperimentAsync("odd-figures-node");
        var trainer = experiment.Trainers[0];
        double[] odd = [double.NaN, 1, double.PositiveInfinity, 2, double.NegativeInfinity, 3, double.NaN];
        await trainer.ReportAsync([.. odd.Select((value, at) => Point(MetricNames.TrainLoss, at + 1, value))]);
        await trainer.ReportAsync([.. odd.Select((_, at) => Point(MetricNames.TrainAccuracy, at + 1, 0.5))]);
        await trainer.ReportAsync(new ReportRequest
        {
            Points = { Point(MetricNames.ValidationLoss, 7, double.NaN) },
            Progress = new Progress
            {
                Step = 7,
                Steps = 9,
                TrainLoss = double.NaN,
                ValidationLoss = double.NegativeInfinity,
                SamplesPerSecond = double.PositiveInfinity,
            },
        });
        await trainer.ExitAsync();

        await using var job = await OpenAsync($"/api/jobs/{trainer.Job}/stream");
        await using var several = await OpenAsync($"/api/experiments/{experiment.Id}/stream");
        foreach (var page in new[] { job, several })
        {
            (await page.RestAsync())[^1].EventType.ShouldBe("end");
            var points = Points(page.All);
            points[MetricNames.TrainLoss].ShouldBe(odd.Select((value, at) => (at + 1L, value)));
            points[MetricNames.TrainAccuracy].ShouldAllBe(point => point.Value == 0.5);
            points[MetricNames.ValidationLoss].ShouldHaveSingleItem().ShouldBe((7L, double.NaN));
        }

        Job.Parser.ParseJson(job.All.Last(item => item.EventType == "job").Data).Progress.TrainLoss.ShouldBe(double.NaN);
        // The mean of an epoch of which a value is NaN; the other curve's is untouched.
        several.All.Where(item => item.EventType == "epochs").Select(item => item.Data).ShouldContain(data => data.Contains("NaN"));
        several.All.Where(item => item.EventType == "epochs").Select(item => item.Data)
            .ShouldContain(data => data.Contains("\"value\":0.5"));

        static MetricPoint Point(string name, long step, double value) => new() { Name = name, Step = step, Epoch = 1, Value = value };
    }

    [Fact]
    public async Task ManyPoints_ComeThinnedInSmallMessages_WithEndsSpikesAndGaps()
    {
        const int Steps = 120_000;
        var experiment = await Scheduler.RunExperimentAsync("long-run-node");
        await experiment.Trainers[0].ReportAsync(new MetricPoint { Name = MetricNames.TrainLoss, Step = 1, Epoch = 1, Value = 0.25 });
        await Scheduler.ExecuteAsync($"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{experiment.Trainers[0].Job}', 1, 0, '{MetricNames.TrainLoss}', step, 1 + step / 100, now(),
                case step when 33333 then 1000 when 77777 then 'NaN' when 77778 then 'Infinity' else 0.5 + (step % 100) / 1000.0 end
            from generate_series(2, {Steps}) step
            """);
        await experiment.Trainers[0].ExitAsync();

        await using var job = await OpenAsync($"/api/jobs/{experiment.Trainers[0].Job}/stream");
        await using var several = await OpenAsync($"/api/experiments/{experiment.Id}/stream");
        foreach (var page in new[] { job, several })
        {
            await page.RestAsync();
            page.All.ShouldAllBe(item => item.Data.Length < 1 << 20);
            var points = Points(page.All)[MetricNames.TrainLoss];
            points.Count.ShouldBeInRange(400, 6000);
            points[0].ShouldBe((1L, 0.25));
            points[^1].Step.ShouldBe(Steps);
            points.ShouldContain((33_333L, 1000.0));
            points.ShouldContain((77_777L, double.NaN));
            points.ShouldContain((77_778L, double.PositiveInfinity));
        }
    }

    [Fact]
    public async Task Restart_TakesBackThePointsAfterItsCheckpoint()
    {
        var trainer = await Scheduler.RunAsync("restarted-page-node");
        await trainer.ReportAsync(
            [.. Enumerable.Range(1, 4).Select(step => new MetricPoint { Name = MetricNames.TrainLoss, Step = step, Value = 1 })]);
        await using var page = await OpenAsync($"/api/jobs/{trainer.Job}/stream");
        while (page.All.All(item => item.EventType != "metrics"))
            await page.NextAsync();

        var second = await trainer.RestartAsync();
        await second.ReportAsync(
            [.. Enumerable.Range(1, 2).Select(step => new MetricPoint { Name = MetricNames.TrainLoss, Step = step, Value = 2 })]);
        await second.ExitAsync();

        await page.RestAsync();
        Points(page.All)[MetricNames.TrainLoss].ShouldBe([(1, 2), (2, 2)]);
    }

    [Fact]
    public async Task Stream_ComesOverAWebSocketToo()
    {
        var trainer = await Scheduler.RunAsync("socket-node");
        await trainer.ReportAsync(new MetricPoint { Name = MetricNames.TrainLoss, Step = 1, Epoch = 1, Value = 2.5 });
        using var socket = await ConnectAsync($"/api/jobs/{trainer.Job}/stream");
        var events = new List<string> { (await ReceiveAsync(socket)).ShouldNotBeNull() };
        await trainer.ExitAsync();

        while (await ReceiveAsync(socket) is { } message)
            events.Add(message);
        events.ShouldContain(message => message.StartsWith("{\"event\":\"metrics\",\"data\":{\"points\":[{") && message.Contains("2.5"));
        events[^1].ShouldBe("{\"event\":\"end\",\"data\":{}}");
    }

    [Fact]
    public async Task WebSocket_OfAnUnknownJob_IsClosedWithTheReason()
    {
        using var socket = await ConnectAsync("/api/jobs/0123abcd/stream");

        (await ReceiveAsync(socket)).ShouldBeNull();
        ((int)socket.CloseStatus!).ShouldBe(4404);
        socket.CloseStatusDescription.ShouldBe("no job has an id that begins with 0123abcd");
    }

    [Fact]
    public async Task WebSocket_FromAPageOfAnotherOrigin_OrWithoutAToken_IsRefused()
    {
        (await Should.ThrowAsync<WebSocketException>(() => ConnectAsync("/api/jobs/stream", origin: "http://127.0.0.1:1")))
            .Message.ShouldContain("403");
        (await Should.ThrowAsync<WebSocketException>(() => ConnectAsync("/api/jobs/stream", token: "wrong"))).Message.ShouldContain("401");
        (await ConnectAsync("/api/jobs/stream", origin: Scheduler.HttpAddress.GetLeftPart(UriPartial.Authority))).Dispose();
    }

    [Fact]
    public async Task AbandonedWebSockets_LeaveNoSubscription_AndNothingInTheLog()
    {
        var feed = Scheduler.Get<JobFeed>();
        await Eventually.HoldsAsync(() => feed.Subscriptions == 0);
        var errors = Errors();
        using (var polite = await ConnectAsync("/api/jobs/stream"))
        using (await ConnectAsync("/api/jobs/stream"))
        {
            await Eventually.HoldsAsync(() => feed.Subscriptions == 2);
            await polite.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, Token);
            await Eventually.HoldsAsync(() => feed.Subscriptions == 1);
        }

        await Eventually.HoldsAsync(() => feed.Subscriptions == 0);
        Errors().ShouldBe(errors);
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
    }

    private int Errors() => Scheduler.Log.Entries.Count(entry => entry.Level >= LogLevel.Error);

    /// <summary>What a page shows of each series by step, once it has had these events.</summary>
    private static Dictionary<string, List<(long Step, double Value)>> Points(IEnumerable<SseItem<string>> events)
    {
        var shown = new Dictionary<string, SortedDictionary<long, double>>();
        foreach (var item in events)
        {
            var data = JsonDocument.Parse(item.Data).RootElement;
            if (item.EventType == "thin" && !data.TryGetProperty("name", out _))
            {
                shown.Clear();
            }
            else if (item.EventType == "thin" && data.GetProperty("what").GetString() == "metrics"
                && shown.TryGetValue(data.GetProperty("name").GetString()!, out var series))
            {
                var from = data.TryGetProperty("from", out var low) ? low.GetInt64() : long.MinValue;
                var to = data.TryGetProperty("to", out var high) ? high.GetInt64() : long.MaxValue;
                foreach (var step in series.Keys.Where(step => step >= from && step <= to).ToList())
                    series.Remove(step);
            }
            else if (item.EventType == "metrics")
            {
                foreach (var point in data.GetProperty("points").EnumerateArray())
                {
                    var name = point.GetProperty("name").GetString()!;
                    if (!shown.TryGetValue(name, out var points))
                        shown.Add(name, points = []);
                    points[point.GetProperty("step").GetInt64()] = double.Parse(
                        point.GetProperty("value").ToString(), CultureInfo.InvariantCulture);
                }
            }
        }

        return shown.ToDictionary(series => series.Key, series => series.Value.Select(point => (point.Key, point.Value)).ToList());
    }

    private async Task<ClientWebSocket> ConnectAsync(string path, string token = TestScheduler.ViewerToken, string? origin = null)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
        if (origin is not null)
            socket.Options.SetRequestHeader("Origin", origin);
        await socket.ConnectAsync(new UriBuilder(new Uri(Scheduler.HttpAddress, path)) { Scheme = "ws" }.Uri, Token);
        return socket;
    }

    /// <returns>The next message; null when the scheduler has closed.</returns>
    private static async Task<string?> ReceiveAsync(ClientWebSocket socket)
    {
        using var message = new MemoryStream();
        var buffer = new byte[4096];
        while (true)
        {
            var part = await socket.ReceiveAsync(buffer, Token);
            if (part.MessageType == WebSocketMessageType.Close)
                return null;
            message.Write(buffer, 0, part.Count);
            if (part.EndOfMessage)
                return Encoding.UTF8.GetString(message.ToArray());
        }
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
        private readonly IAsyncEnumerator<SseItem<string>> _items = SseParser.Create(stream).EnumerateAsync(Token)
            .GetAsyncEnumerator(Token);
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
