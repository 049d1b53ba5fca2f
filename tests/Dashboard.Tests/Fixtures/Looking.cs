using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>What a visitor looks for on a page.</summary>
internal static class Looking
{
    /// <summary>Of a chart's first curve, and of its second.</summary>
    public const string FirstColour = "7fa8e8";
    public const string SecondColour = "d9730d";

    private const string HasDotsScript = """
        ([chart, colour, fewer]) => {
            const canvas = document.querySelector(`${chart} canvas`);
            if (!canvas)
                return false;
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const wanted = [0, 2, 4].map(at => parseInt(colour.slice(at, at + 2), 16));
            let dots = 0;
            for (let at = 0; at < data.length; at += 4)
                dots += wanted.every((part, index) => Math.abs(data[at + index] - part) < 50) && data[at + 3] > 100;
            return dots > fewer;
        }
        """;

    /// <summary>A Fluent button has its role from the browser, which Playwright does not ask.</summary>
    public static ILocator FluentButton(this IPage page, string text) => page.Locator("fluent-button", new() { HasText = text });

    /// <summary>Opens a menu and chooses one of its items.</summary>
    public static async Task ChooseAsync(this IPage page, string menu, string item)
    {
        await page.Locator("fluent-menu-button", new() { HasText = menu }).ClickAsync();
        await page.Locator("fluent-menu-item:visible", new() { HasText = item }).ClickAsync();
    }

    /// <summary>
    /// More dots than these of a chart get a curve's colour, or nearly so: a thin line is blended with the ground. A chart is drawn a
    /// moment after its page has the points.
    /// </summary>
    public static Task ExpectDotsAsync(this IPage page, string chart, string colour, int moreThan) =>
        page.WaitForFunctionAsync(HasDotsScript, new object[] { chart, colour, moreThan });

    /// <summary>None of a chart's dots has a curve's colour.</summary>
    public static Task ExpectNoDotsAsync(this IPage page, string chart, string colour) =>
        page.WaitForFunctionAsync($"options => !({HasDotsScript})(options)", new object[] { chart, colour, 0 });

    /// <summary>An address that has these parts in this order.</summary>
    public static Regex AtAddress(params string[] parts) =>
        new(string.Join(".*", parts.Select(Regex.Escape)), RegexOptions.None, TimeSpan.FromSeconds(1));

    /// <summary>Tab after tab, until the focus is there.</summary>
    public static Task TabToAsync(this IPage page, ILocator goal) => page.GoToAsync(goal, "Tab");

    /// <summary>By one key, again and again, until the focus is there.</summary>
    public static async Task GoToAsync(this IPage page, ILocator goal, string key)
    {
        // More than any page has before what a test looks for.
        const int Most = 80;
        for (var presses = 0; presses < Most; presses++)
        {
            if (await goal.EvaluateAsync<bool>("element => element === document.activeElement"))
                return;
            await page.Keyboard.PressAsync(key);
        }

        await Assertions.Expect(goal).ToBeFocusedAsync();
    }
}
