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

    /// <summary>Whether somebody wants to look at pages.</summary>
    internal static bool ArePicturesWanted => Environment.GetEnvironmentVariable(Wanted) == "1";

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task Pictures_AreMadeAnew()
    {
        Assert.SkipUnless(ArePicturesWanted, $"{Wanted}=1 makes docs/images anew");
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/", [], new() { ViewportSize = new() { Width = 1100, Height = 700 } });
        foreach (var (name, address, sign, from, until) in new[]
        {
            ("overview", "/", ".attention li", "header", "#newest"),
            ("job", $"/jobs/{showcase.Running.Id}", "table.ranks td:has-text('97 %')", ".charts", "#events"),
            ("search", $"/experiments/{showcase.Search.Id}", ".parallel .best", "[data-chart='best so far']",
                "h2:text('Trials')"),
            ("queues", "/queues", "table.waiting tbody tr", "header", ""),
        })
        {
            await page.GotoAsync(visitor.Dashboard.Address + address);
            await Assertions.Expect(page.Locator(sign).First).ToBeVisibleAsync();
            if (await page.Locator("canvas").CountAsync() > 0)
                await page.ExpectDotsAsync(ChartOf(name), Looking.FirstColour, 20);
            var picture = await page.ScreenshotAsync(new()
            {
                Path = Path.Combine(Repository.Root, "docs", "images", $"{name}.png"),
                FullPage = true,
                Clip = await BetweenAsync(page, from, until),
            });
            picture.Length.ShouldBeLessThan(MostBytes, name);
        }
    }

    // The last that is drawn of those in the picture.
    private static string ChartOf(string name) => name switch
    {
        "job" => "[data-chart='step time in s']",
        "search" => "[data-chart='best so far']",
        _ => ".chart",
    };

    /// <summary>What of a page lies between two elements, or to its end.</summary>
    private static async Task<Clip> BetweenAsync(IPage page, string from, string until)
    {
        var top = (await page.Locator(from).First.BoundingBoxAsync())!.Y;
        var bottom = until.Length > 0
            ? (await page.Locator(until).BoundingBoxAsync())!.Y
            : await page.EvaluateAsync<float>("document.querySelector('main').getBoundingClientRect().bottom");
        return new Clip { X = 0, Y = top, Width = page.ViewportSize!.Width, Height = bottom - top };
    }
}
