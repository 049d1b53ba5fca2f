using Microsoft.Playwright;

namespace Cluster.EndToEnd.Tests;

/// <summary>Debian's browser, for a container without a sandbox, a GPU or the Internet.</summary>
internal static class Chromium
{
    // Only so that what never comes fails: a page may take long on a busy machine, or stand still with it.
    private const float Patience = 90_000;

    public static Task<IBrowser> LaunchAsync(IPlaywright playwright)
    {
        Assertions.SetDefaultExpectTimeout(Patience);
        return playwright.Chromium.LaunchAsync(Options);
    }

    private static BrowserTypeLaunchOptions Options => new()
    {
        ExecutablePath = "/usr/bin/chromium",
        Timeout = 2 * Patience,
        Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync"],
    };
}
