using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Makes the pictures in docs/images anew: they are not compared, since fonts differ from machine to machine.</summary>
[Collection(typeof(Visitors))]
public sealed class DocumentationTests(Visitor visitor) : IAsyncDisposable
{
    private const string Wanted = "CLUSTER_SCREENSHOTS";

    // What a reader's browser fetches without a thought.
    private const int MostBytes = 150 * 1024;

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task Pictures_AreMadeAnew()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable(Wanted) == "1", $"{Wanted}=1 makes docs/images anew");
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/", [], new() { ViewportSize = new() { Width = 1280, Height = 800 } });
        foreach (var (name, address, sign) in new[]
        {
            ("overview", "/", ".attention li"),
            ("job", $"/jobs/{showcase.Running.Id}", "table.ranks .parts"),
            ("search", $"/experiments/{showcase.Search.Id}", ".parallel .best"),
            ("compare", $"/compare?jobs={string.Join(',', showcase.Compared.Select(job => job.Id[..8]))}&part=train&smooth=0.6",
                ".u-legend .u-series:nth-child(3)"),
            ("queues", "/queues", "table.waiting tbody tr"),
            ("nodes", "/nodes", ".node"),
            ("reports", "/reports", "table.hours tbody tr"),
        })
        {
            await page.GotoAsync(visitor.Dashboard.Address + address);
            await Assertions.Expect(page.Locator(sign).First).ToBeVisibleAsync();
            if (await page.Locator("canvas").CountAsync() > 0)
                await page.ExpectDotsAsync(".chart", Looking.FirstColour, 20);
            var picture = await page.ScreenshotAsync(new()
            {
                Path = Path.Combine(Repository.Root, "docs", "images", $"{name}.png"), FullPage = name is "search" or "job",
            });
            picture.Length.ShouldBeLessThan(MostBytes, name);
        }
    }
}
