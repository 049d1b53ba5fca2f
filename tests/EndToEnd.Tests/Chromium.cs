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

    /// <summary>Gives the page's browser a session, as the form of the sign-in page does.</summary>
    /// <param name="page">It, and others of its context.</param>
    /// <param name="dashboard">The dashboard's address.</param>
    /// <param name="token">Of the session.</param>
    public static async Task SignInAsync(this IPage page, string dashboard, string token)
    {
        var form = page.APIRequest.CreateFormData();
        form.Set("token", token);
        var answer = await page.APIRequest.PostAsync($"{dashboard}/sign-in", new() { Form = form, MaxRedirects = 0 });
        if (answer.Status != 302)
            throw new InvalidOperationException($"signing in at {dashboard} was answered with {answer.Status}");
    }

    private static BrowserTypeLaunchOptions Options => new()
    {
        ExecutablePath = "/usr/bin/chromium",
        Timeout = 2 * Patience,
        Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--disable-sync"],
    };
}
