using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A dashboard over a made-up cluster, and a browser in front of it; what goes wrong on its pages is kept.</summary>
public sealed class Visitor : IAsyncLifetime
{
    private IPlaywright _playwright = null!;

    internal FakeScheduler Scheduler { get; } = new(Cluster.Tests.Shared.FreePorts.Take());

    internal DashboardProcess Dashboard { get; private set; } = null!;

    public IBrowser Browser { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Scheduler.StartAsync();
        Dashboard = await DashboardProcess.StartAsync(Scheduler.Address);
        _playwright = await Playwright.CreateAsync();
        Browser = await EndToEnd.Tests.Chromium.LaunchAsync(_playwright);
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is not null)
            await Browser.DisposeAsync();
        _playwright?.Dispose();
        if (Dashboard is not null)
            await Dashboard.DisposeAsync();
        await Scheduler.DisposeAsync();
    }

    /// <summary>Signed in, at an address such as "/jobs".</summary>
    /// <param name="faults">Takes errors of the page and of its console.</param>
    public async Task<IPage> OpenAsync(string address, List<string> faults, BrowserNewContextOptions? options = null)
    {
        var context = await Browser.NewContextAsync(options);
        var page = await context.NewPageAsync();
        page.PageError += (_, fault) => faults.Add(fault);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
                faults.Add(message.Text);
        };
        await page.GotoAsync($"{Dashboard.Address}{address}#token={FakeScheduler.Token}");
        await Assertions.Expect(page.Locator("main h1")).Not.ToHaveTextAsync("Sign in");
        return page;
    }
}
