using Cluster.Contracts.V1;
using Microsoft.Playwright;

namespace Cluster.EndToEnd.Tests;

/// <summary>The dashboard in Debian's Chromium.</summary>
public sealed class DashboardTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OneJob_ShowsItsCurvesEventsAndLog_Live()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(Chromium.Options);
        var page = await browser.NewPageAsync();
        var faults = new List<string>();
        page.PageError += (_, fault) => faults.Add(fault);

        await page.GotoAsync($"{cluster.HttpAddress}/#token={cluster.Token}");
        var job = await cluster.SubmitAsync(JobFiles.LeNet("on-the-page", epochs: 6), Cancelled);
        // The table was open before the job was submitted: the row arrives by itself.
        var row = page.Locator("table.jobs tr", new() { HasText = "on-the-page" });
        await Assertions.Expect(row.Locator(".state")).ToHaveTextAsync("running", new() { Timeout = 60_000 });
        await row.GetByRole(AriaRole.Link).ClickAsync();

        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { NameString = "on-the-page", Exact = true })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".facts")).ToContainTextAsync("worker-1/cpu:0");
        await Assertions.Expect(page.Locator("[data-chart=loss] canvas")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".log")).Not.ToBeEmptyAsync(new() { Timeout = 30_000 }); // the first line is that of an epoch
        await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        await Assertions.Expect(page.Locator(".title .state")).ToHaveTextAsync("succeeded", new() { Timeout = 30_000 });
        await Assertions.Expect(page.Locator(".events tr")).Not.ToHaveCountAsync(0);
        // The legend shows a series' value only once points of it are drawn.
        await page.Locator("[data-chart=accuracy] .u-over").HoverAsync();
        await Assertions.Expect(page.Locator("[data-chart=accuracy] .u-legend")).ToContainTextAsync("validation/accuracy");
        await page.ScreenshotAsync(new() { Path = Path.Combine(Shell.Root, "artifacts", "test-results", "dashboard-job.png"), FullPage = true });
        faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task WithoutAToken_NothingIsShown()
    {
        using var http = new HttpClient { BaseAddress = new Uri(cluster.HttpAddress) };

        (await http.GetAsync("/api/jobs/stream", Cancelled)).StatusCode.ShouldBe(System.Net.HttpStatusCode.Unauthorized);
        (await http.GetAsync("/", Cancelled)).IsSuccessStatusCode.ShouldBeTrue();
    }
}
