using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Api;
using Google.Protobuf.Reflection;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>The same services over HTTP/1.1 and JSON.</summary>
[Collection(typeof(ApiTests))]
public sealed class RestTests(SharedScheduler shared) : IDisposable
{
    private readonly HttpClient _http = shared.Scheduler.Browser();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _http.Dispose();

    [Fact]
    public void EveryUnaryRpcThatPeopleCall_HasARoute()
    {
        var unary = PeoplesMethods().Where(method => !method.IsClientStreaming && !method.IsServerStreaming).ToList();

        unary.ShouldNotBeEmpty();
        unary.Where(method => Rule(method) is null).Select(method => method.FullName).ShouldBeEmpty();
    }

    [Fact]
    public void Routes_AreOnesOwn()
    {
        var routes = PeoplesMethods().Select(Rule).OfType<HttpRule>().Select(rule => $"{rule.PatternCase} {Path(rule)}").ToList();

        routes.ShouldBeUnique();
        routes.ShouldAllBe(route => route.Contains(" /v1/"));
    }

    [Fact]
    public async Task Job_IsSubmittedFoundListedAndCancelled()
    {
        var file = new
        {
            requestId = $"{Guid.NewGuid():D}",
            // It waits for a node which nobody has.
            yaml = "name: by-rest\nmodel: lenet5\ndata: fashion-mnist\nworkspace: rest\nresources: {nodeLabels: {only: nowhere}}",
            waitForCapacity = true,
        };
        var submitted = await SendAsync(HttpMethod.Post, "/v1/jobs", TestScheduler.SubmitterToken, file);
        var id = submitted.GetProperty("job").GetProperty("id").GetString()!;

        (await SendAsync(HttpMethod.Get, $"/v1/jobs/{id}", TestScheduler.ViewerToken)).GetProperty("job").GetProperty("spec")
            .GetProperty("name").GetString().ShouldBe("by-rest");
        (await SendAsync(HttpMethod.Get, "/v1/jobs?workspace=rest&pageSize=1", TestScheduler.ViewerToken)).GetProperty("jobs")
            .EnumerateArray().ShouldHaveSingleItem().GetProperty("id").GetString().ShouldBe(id);
        (await SendAsync(HttpMethod.Post, $"/v1/jobs/{id}:cancel", TestScheduler.SubmitterToken, new { reason = "enough" }))
            .GetProperty("job").GetProperty("state").GetString().ShouldBe("JOB_STATE_CANCELLED");
    }

    [Fact]
    public async Task Stream_ComesLineByLine()
    {
        var job = await shared.Scheduler.SubmitWaitingAsync();
        await shared.Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job.Id });

        using var answer = await CallAsync(HttpMethod.Get, $"/v1/jobs/{job.Id}:watch", TestScheduler.ViewerToken);

        var lines = (await answer.Content.ReadAsStringAsync(Cancelled)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines.Length.ShouldBeGreaterThan(1);
        JsonDocument.Parse(lines[^1]).RootElement.GetProperty("job").GetProperty("state").GetString().ShouldBe("JOB_STATE_CANCELLED");
    }

    [Theory]
    [InlineData("GET", "/v1/jobs", null, HttpStatusCode.Unauthorized)]
    [InlineData("GET", "/v1/jobs", "wrong", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "/v1/jobs", TestScheduler.NodeToken, HttpStatusCode.Forbidden)]
    [InlineData("POST", "/v1/jobs", TestScheduler.ViewerToken, HttpStatusCode.Forbidden)]
    [InlineData("GET", "/v1/jobs/00000000-0000-0000-0000-000000000000", TestScheduler.ViewerToken, HttpStatusCode.NotFound)]
    [InlineData("GET", "/v1/jobs/no-id", TestScheduler.ViewerToken, HttpStatusCode.BadRequest)]
    public async Task Refusal_IsAStatusOfHttp_WithItsReason(string method, string path, string? token, HttpStatusCode status)
    {
        using var answer = await CallAsync(new HttpMethod(method), path, token, method == "POST" ? new { } : null);

        answer.StatusCode.ShouldBe(status);
        (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancelled)).GetProperty("message").GetString().ShouldNotBeNullOrEmpty();
    }

    [Fact]
    public async Task OpenApiDocument_NamesEveryRoute_AndTheTokenThatCallsNeed()
    {
        var document = await _http.GetFromJsonAsync<JsonElement>("/openapi/v1.json", Cancelled);

        document.GetProperty("openapi").GetString().ShouldStartWith("3.");
        var paths = document.GetProperty("paths");
        foreach (var rule in PeoplesMethods().Select(Rule).OfType<HttpRule>())
        {
            paths.GetProperty(Path(rule)).TryGetProperty(rule.PatternCase.ToString().ToLowerInvariant(), out _)
                .ShouldBeTrue($"{rule.PatternCase} {Path(rule)}");
        }

        document.GetProperty("components").GetProperty("securitySchemes").EnumerateObject().ShouldHaveSingleItem()
            .Value.GetProperty("scheme").GetString().ShouldBe("bearer");
    }

    private static IEnumerable<MethodDescriptor> PeoplesMethods() => RequiredScope.Services().SelectMany(service => service.Methods)
        .Where(method => RequiredScope.Of(method) is Scope.Viewer or Scope.Submitter or Scope.Operator or Scope.Admin);

    private static HttpRule? Rule(MethodDescriptor method) => method.GetOptions().GetExtension(AnnotationsExtensions.Http);

    private static string Path(HttpRule rule) => rule.PatternCase switch
    {
        HttpRule.PatternOneofCase.Get => rule.Get,
        HttpRule.PatternOneofCase.Post => rule.Post,
        HttpRule.PatternOneofCase.Put => rule.Put,
        HttpRule.PatternOneofCase.Patch => rule.Patch,
        HttpRule.PatternOneofCase.Delete => rule.Delete,
        _ => throw new InvalidOperationException($"{rule} is of a kind that no route has yet"),
    };

    private async Task<JsonElement> SendAsync(HttpMethod method, string path, string? token, object? body = null)
    {
        using var answer = await CallAsync(method, path, token, body);
        var text = await answer.Content.ReadAsStringAsync(Cancelled);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, text);
        return JsonDocument.Parse(text).RootElement;
    }

    private async Task<HttpResponseMessage> CallAsync(HttpMethod method, string path, string? token, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (token is not null)
            request.Headers.Authorization = new("Bearer", token);
        if (body is not null)
            request.Content = JsonContent.Create(body);
        return await _http.SendAsync(request, Cancelled);
    }
}
