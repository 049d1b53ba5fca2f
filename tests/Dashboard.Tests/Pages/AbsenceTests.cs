using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Cluster.Tests.Shared;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Schedulers that are away, and a dashboard that is.</summary>
public sealed class AbsenceTests(Visitor visitor) : IClassFixture<Visitor>, IAsyncDisposable
{
    private readonly List<string> _faults = [];

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task SchedulerThatGoesAway_IsSaidOnEveryPage_AndWhenItIsBackThePagesGoOn()
    {
        // What has been read for good, since it is over, or is asked for now and then, does not notice.
        string[] patient = ["experiment", "compare", "samples", "new-job", "models", "model", "reports", "groups", "misread",
            .. EveryPage.Alone];
        using var showcase = new Showcase(visitor.Scheduler);
        var pages = new List<IPage>();
        foreach (var (_, address, sign, _) in EveryPage.Of(showcase).Where(page => !patient.Contains(page.Name)))
        {
            pages.Add(await visitor.OpenAsync(address, _faults));
            await Assertions.Expect(pages[^1].Locator(sign).First).ToBeVisibleAsync();
        }

        var one = await visitor.OpenAsync($"/jobs/{showcase.Running.Id}", _faults);
        await Assertions.Expect(one.Locator(".title .state")).ToHaveTextAsync("running");

        await visitor.Scheduler.StopAsync();
        foreach (var page in pages)
            await Assertions.Expect(page.Locator(".standing")).ToContainTextAsync("Out of touch");
        var over = showcase.Running.Clone();
        over.State = JobState.Succeeded;
        visitor.Scheduler.Put(over);
        await visitor.Scheduler.StartAsync();

        await Assertions.Expect(one.Locator(".title .state")).ToHaveTextAsync("succeeded");
        foreach (var page in pages)
            await Assertions.Expect(page.Locator(".standing")).ToBeEmptyAsync();
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task RunsAsCsv_WhileNoSchedulerAnswers_AreNoFile()
    {
        visitor.Scheduler.Put(Some.Job("a-run", JobState.Succeeded));
        var page = await visitor.OpenAsync("/jobs", _faults);

        var wrong = await page.APIRequest.GetAsync($"{visitor.Dashboard.Address}/runs.csv?q=lr+%3E%3E+1");
        await visitor.Scheduler.StopAsync();
        var away = await page.APIRequest.GetAsync($"{visitor.Dashboard.Address}/runs.csv");
        await Assertions.Expect(page.Locator(".standing")).ToContainTextAsync("Out of touch");
        await visitor.Scheduler.StartAsync();
        // Who signs in next finds a dashboard that is in touch again.
        await Assertions.Expect(page.Locator(".standing")).ToBeEmptyAsync();

        away.Status.ShouldBe(503);
        (await away.TextAsync()).ShouldContain("no scheduler answers");
        away.Headers.ShouldNotContainKey("content-disposition");
        wrong.Status.ShouldBe(400);
        (await wrong.TextAsync()).ShouldContain("where, character 1");
    }

    [Fact]
    public async Task DashboardThatBeginsAnew_IsFoundAgain_WithTheSessionAndTheAddress()
    {
        visitor.Scheduler.Put(Some.Job("still-there", JobState.Succeeded));
        var page = await visitor.OpenAsync("/jobs?q=still-there", []);
        await Assertions.Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(1);

        await visitor.Dashboard.StopAsync();
        await Assertions.Expect(page.Locator("#components-reconnect-modal")).ToBeVisibleAsync();
        await visitor.Dashboard.StartAsync();

        await Assertions.Expect(page.Locator("#components-reconnect-modal")).ToBeHiddenAsync();
        visitor.Scheduler.Put(Some.Job("still-there-too", JobState.Succeeded));
        await Assertions.Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(2);
        page.Url.ShouldEndWith("/jobs?q=still-there");
    }

    [Fact]
    public async Task WithoutAScheduler_TheDashboardIsUp_AndSaysWhyNobodyCanSignIn()
    {
        await using var alone = await DashboardProcess.StartAsync($"http://127.0.0.1:{FreePorts.Take()}");
        var page = await visitor.NewPageAsync();

        await page.GotoAsync(alone.Address);
        await page.GetByLabel("Token").FillAsync(FakeScheduler.Token);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();

        await Assertions.Expect(page.Locator("[role=alert]")).ToContainTextAsync("no scheduler answers");
    }
}
