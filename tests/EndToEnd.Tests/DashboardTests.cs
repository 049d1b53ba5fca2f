using Cluster.Contracts.V1;
using Microsoft.Playwright;

namespace Cluster.EndToEnd.Tests;

/// <summary>The dashboard in Debian's Chromium, over real services.</summary>
public sealed class DashboardTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OneJob_ShowsItsCurvesEventsAndLog_Live()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await Chromium.LaunchAsync(playwright);
        var page = await browser.NewPageAsync();
        var faults = new List<string>();
        page.PageError += (_, fault) => faults.Add(fault);

        await page.SignInAsync(cluster.HttpAddress, cluster.Token);
        await page.GotoAsync($"{cluster.HttpAddress}/jobs");
        await Assertions.Expect(page.Locator("table.jobs")).ToBeVisibleAsync();
        var job = await cluster.SubmitAsync(JobFiles.LeNet("on-the-page", epochs: 14), Cancelled);
        // The table was open before the job was submitted: the row arrives by itself.
        var row = page.Locator("table.jobs tr", new() { HasText = "on-the-page" });
        await Assertions.Expect(row.Locator(".state")).ToHaveTextAsync("running");
        await row.GetByRole(AriaRole.Link).ClickAsync();

        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { NameString = "on-the-page", Exact = true })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".facts")).ToContainTextAsync("worker-1/cpu:0");
        await Assertions.Expect(page.Locator("[data-chart=loss] canvas")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".log .line").First).ToBeVisibleAsync(); // the first line is that of an epoch
        await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        await Assertions.Expect(page.Locator(".title .state")).ToHaveTextAsync("succeeded");
        await Assertions.Expect(page.Locator(".events tbody tr")).Not.ToHaveCountAsync(0);
        await Assertions.Expect(page.GetByText("Download").First).ToBeVisibleAsync(); // a checkpoint
        // The legend shows a series' value only once points of it are drawn.
        await page.Locator("[data-chart=accuracy] .u-over").HoverAsync();
        await Assertions.Expect(page.Locator("[data-chart=accuracy] .u-legend")).ToContainTextAsync("validation/accuracy");
        await page.ScreenshotAsync(
            new() { Path = Path.Combine(Shell.Root, "artifacts", "test-results", "dashboard-job.png"), FullPage = true });
        faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Tabs_OfAnyNumber_AreAllLive_AlsoWhenOthersAreClosed()
    {
        // A browser opens six HTTP/1.1 connections to a host, for all of its tabs.
        const int Lists = 8;
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await Chromium.LaunchAsync(playwright);
        await using var tabs = await browser.NewContextAsync();
        var running = await cluster.SubmitAsync(JobFiles.LeNet("in-every-tab", epochs: 1000), Cancelled); // until it is cancelled
        var lists = new List<IPage>();
        foreach (var _ in Enumerable.Range(0, Lists))
            lists.Add(await OpenAsync("/jobs?q=in-every-tab"));
        var jobs = new List<IPage>();
        foreach (var _ in Enumerable.Range(0, Lists))
            jobs.Add(await OpenAsync($"/jobs/{running.Id}"));

        foreach (var list in lists)
            await Assertions.Expect(list.Locator("table.jobs tr", new() { HasText = "in-every-tab" })).ToBeVisibleAsync();
        foreach (var job in jobs)
            await Assertions.Expect(job.Locator(".title .state")).ToHaveTextAsync("running");
        // Whichever came first: none stands in for the others.
        foreach (var closed in lists[..2].Concat(jobs[..2]))
            await closed.CloseAsync();
        await cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = running.Id }, cancellationToken: Cancelled);
        foreach (var list in lists[2..])
            await Assertions.Expect(list.Locator("table.jobs tr", new() { HasText = "in-every-tab" }).Locator(".state"))
                .ToHaveTextAsync("cancelled");
        foreach (var job in jobs[2..])
            await Assertions.Expect(job.Locator(".title .state")).ToHaveTextAsync("cancelled");

        async Task<IPage> OpenAsync(string address)
        {
            var page = await tabs.NewPageAsync();
            await page.SignInAsync(cluster.HttpAddress, cluster.Token);
            await page.GotoAsync($"{cluster.HttpAddress}{address}");
            return page;
        }
    }

    [Fact]
    public async Task Overview_CountsTheWorkersDevices()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await Chromium.LaunchAsync(playwright);
        var page = await browser.NewPageAsync();

        await page.GotoAsync(cluster.HttpAddress);
        await page.GetByLabel("Token").FillAsync(cluster.Token);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();

        await Assertions.Expect(page.Locator(".tile").First).ToContainTextAsync("of 2 in use");
    }

    [Fact]
    public async Task WithoutAToken_NothingIsShown()
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(cluster.HttpAddress),
        };

        using var answer = await http.GetAsync("/jobs", Cancelled);

        answer.StatusCode.ShouldBe(System.Net.HttpStatusCode.Redirect);
        answer.Headers.Location!.ToString().ShouldContain("/sign-in");
    }
}
