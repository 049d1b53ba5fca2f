using Cluster.EndToEnd.Tests;
using Microsoft.Playwright;

// Each class has a browser and a dashboard, and the cores are few.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>A dashboard over a made-up cluster, and a browser in front of it; what goes wrong on its pages is kept.</summary>
public sealed class Visitor : IAsyncLifetime
{
    // Only so that what never comes fails, on a machine that may stand still for a while.
    private const float Patience = 90_000;

    private readonly List<IBrowserContext> _contexts = [];
    private IPlaywright _playwright = null!;

    internal FakeScheduler Scheduler { get; } = new(Cluster.Tests.Shared.FreePorts.Take());

    internal DashboardProcess Dashboard { get; private set; } = null!;

    private IBrowser Browser { get; set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await Scheduler.StartAsync();
        Dashboard = await DashboardProcess.StartAsync(Scheduler.Address);
        _playwright = await Playwright.CreateAsync();
        Browser = await Chromium.LaunchAsync(_playwright);
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
        var page = await NewPageAsync(options);
        page.PageError += (_, fault) => faults.Add(fault);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
                faults.Add(message.Text);
        };
        await page.SignInAsync(Dashboard.Address, FakeScheduler.Token);
        await page.GotoAsync($"{Dashboard.Address}{address}");
        // Of the pages behind the sign-in, which a later address would otherwise interrupt.
        await Assertions.Expect(page.Locator("header .brand")).ToBeVisibleAsync();
        return page;
    }

    /// <summary>With a count of what its page's circuit receives.</summary>
    public async Task<(IPage Page, Func<long> Received)> OpenCountedAsync(string address, string token)
    {
        var received = 0L;
        var page = await NewPageAsync();
        page.WebSocket += (_, socket) => socket.FrameReceived += (_, frame) =>
            Interlocked.Add(ref received, frame.Binary?.Length ?? frame.Text?.Length ?? 0);
        await page.SignInAsync(Dashboard.Address, token);
        await page.GotoAsync($"{Dashboard.Address}{address}");
        return (page, () => Interlocked.Read(ref received));
    }

    /// <summary>Signed in nowhere.</summary>
    public async Task<IPage> NewPageAsync(BrowserNewContextOptions? options = null)
    {
        var context = await Browser.NewContextAsync(options);
        _contexts.Add(context);
        context.SetDefaultTimeout(Patience);
        return await context.NewPageAsync();
    }

    /// <summary>
    /// Closes all pages, since each would go on living, and empties the cluster: a board that outlives its page looks for no job that is
    /// older than those it knows, as the next test's may be.
    /// </summary>
    public async ValueTask LeaveAsync()
    {
        foreach (var context in _contexts)
            await context.CloseAsync();
        _contexts.Clear();
        Scheduler.Forget();
    }
}
