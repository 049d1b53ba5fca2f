using Microsoft.Playwright;

namespace Cluster.EndToEnd.Tests;

/// <summary>Debian's browser, for a container without a sandbox, a GPU or the Internet.</summary>
internal static class Chromium
{
    public static BrowserTypeLaunchOptions Options => new()
    {
        ExecutablePath = "/usr/bin/chromium",
        Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync"],
    };
}
