using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Addresses that somebody has written or shortened by hand.</summary>
[Collection(typeof(Visitors))]
public sealed class AddressTests(Visitor visitor) : IAsyncDisposable
{
    private static readonly string[] Odd =
        ["abc", "-1", "0", "99999999999999999999", "NaN", "1e400", "%00", "<script>window.ran=true</script>", "a,b;c&d=e", "\u202e'\"\\"];

    private readonly List<string> _faults = [];

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task OddValues_OfEveryPagesEveryParameter_BreakNothing()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var jobs = string.Join(',', showcase.Compared.Select(job => job.Id));
        var page = await visitor.OpenAsync("/", _faults);
        foreach (var (address, parameters, sign) in new[]
        {
            ("/jobs", "q state sort desc page columns", "table.jobs tbody tr"),
            ($"/jobs/{showcase.Running.Id}", "log level", ".log"),
            ($"/jobs/{showcase.Running.Id}/samples", "epoch", ".samples img"),
            ("/jobs/new", "from", "textarea"),
            ("/experiments", "q", "table.experiments tbody tr"),
            ($"/experiments/{showcase.Search.Id}", "curve part by log logx smooth", ".parallel .best"),
            ("/compare", "jobs curve part by log logx smooth", "form"),
            ("/runs", "q sort desc group columns", "table.runs tbody tr"),
            ("/queues", "queue", "table.queues tbody tr"),
            ("/nodes", "q", ".node"),
            ("/models/lenet5", "batch", "table.layers tbody tr"),
            ("/reports", "days by", "table.hours tbody tr"),
        })
        {
            await page.GotoAsync(visitor.Dashboard.Address + address);
            foreach (var value in Odd)
            {
                var query = string.Join('&', parameters.Split(' ').Select(name => $"{name}={Uri.EscapeDataString(value)}"));
                await page.EvaluateAsync("address => Blazor.navigateTo(address)", $"{address}?{query}");
            }

            // What a circuit is asked for it does in order.
            await page.EvaluateAsync("address => Blazor.navigateTo(address)", $"{address}?other={jobs}");
            await Expect(page.Locator(sign).First).ToBeVisibleAsync();
            await Expect(page.Locator(".misread")).ToHaveCountAsync(0);
            await Expect(page.Locator("#blazor-error-ui")).ToBeHiddenAsync();
        }

        (await page.EvaluateAsync<bool>("window.ran === undefined")).ShouldBeTrue();
        _faults.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("/jobs?page=abc", "page=abc", "table.jobs tbody tr")]
    [InlineData("/jobs?sort=colour&columns=state,taste&state=asleep", "columns=taste", "table.jobs tbody tr")]
    [InlineData("/runs?sort=colour&group=taste&desc=perhaps", "group=taste", "table.runs tbody tr")]
    [InlineData("/reports?days=8&by=shoes", "by=shoes", "table.hours tbody tr")]
    [InlineData("/models/lenet5?batch=-3", "batch=-3", "table.layers tbody tr")]
    [InlineData("/queues?queue=none", "There is no queue none", "table.queues tbody tr")]
    public async Task WhatMeansNothing_IsSaid_AndTheRestIsShown(string address, string said, string sign)
    {
        using var showcase = new Showcase(visitor.Scheduler);

        var page = await visitor.OpenAsync(address, _faults);

        await Expect(page.Locator(".misread")).ToContainTextAsync(said);
        await Expect(page.Locator(sign).First).ToBeVisibleAsync();
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Compare_OfAJobThatIsNot_SaysSo_AndComparesTheOthers_UntilItIsTakenAway()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var jobs = string.Join(',', showcase.Compared.Select(job => job.Id[..8]));

        var page = await visitor.OpenAsync($"/compare?jobs={jobs},ffffffff-0000,zz", _faults);

        await Expect(page.Locator(".refused")).ToContainTextAsync("ffffffff-0000");
        await Expect(page.Locator(".misread")).ToContainTextAsync("jobs=zz");
        await Expect(page.Locator(".results tbody tr")).ToHaveCountAsync(2);
        await page.GetByRole(AriaRole.Button, new() { Name = "Take ffffffff-0000 away" }).ClickAsync();
        await Expect(page.Locator(".refused")).ToHaveCountAsync(0);
        await Expect(page.Locator(".misread")).ToHaveCountAsync(0);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task PageOfAList_ThatIsBeyondItsEnd_IsTheLast()
    {
        foreach (var number in Enumerable.Range(0, 60))
            visitor.Scheduler.Put(Some.Job($"beyond-{number:00}", JobState.Succeeded, number));

        var page = await visitor.OpenAsync("/jobs?q=beyond-&sort=name&desc=false&page=9", _faults);

        await Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(10);
        await Expect(page.Locator(".pages")).ToContainTextAsync("Page 2 of 2");
        _faults.ShouldBeEmpty();
    }
}
