using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Pages about what the cluster has, and who has it.</summary>
[Collection(typeof(Visitors))]
public sealed class FarmPageTests(Visitor visitor) : IAsyncDisposable
{
    private readonly List<string> _faults = [];

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task Queues_ShowTheirTreeAndShares_AndWhoWaitsInTheChosenOne()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/queues", _faults);

        var rows = page.Locator("table.queues tbody tr");
        await Expect(rows.Locator("td:first-child a")).ToHaveTextAsync(["default", "product", "research", "speech", "vision"]);
        var vision = rows.Filter(new() { HasText = "vision" });
        await Expect(vision).ToContainTextAsync("in research");
        await Expect(vision).ToContainTextAsync("4 GPU of 3, at most 4");
        await Expect(vision.Locator("td").Nth(3)).ToHaveTextAsync("1");
        var research = rows.Filter(new() { HasText = "research" }).First;
        await Expect(research).ToContainTextAsync("4 GPU of 4");
        await Expect(research.Locator("td").Nth(5)).ToHaveTextAsync("0.62");
        await Expect(page.Locator("table.waiting tbody")).ToContainTextAsync("mobilenet_v2-small");

        await page.TabToAsync(vision.Locator("a"));
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(Looking.AtAddress("/queues?queue=vision"));
        await Expect(page.Locator("table.waiting tbody tr")).ToHaveCountAsync(1);
        await Expect(page.Locator("table.waiting tbody tr")).ToContainTextAsync("waiting for quota: needs 4 cuda devices");

        var grown = visitor.Scheduler.Queues["vision"].Clone();
        grown.WaitingJobs = 17;
        visitor.Scheduler.Queues["vision"] = grown;
        await Expect(vision.Locator("td").Nth(6)).ToHaveTextAsync("17");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Reports_AreSummedAsTheAddressSays_OverTheRangeThatIsChosen()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        visitor.Scheduler.DeviceHoursAsked.Clear();
        var page = await visitor.OpenAsync("/reports?by=state", _faults);

        var rows = page.Locator("table.hours tbody tr");
        await Expect(rows.Locator("td:first-child")).ToHaveTextAsync(["running", "succeeded", "failed", "cancelled"]);
        await Expect(rows.Filter(new() { HasText = "failed" })).ToContainTextAsync("67 %");
        await Expect(page.Locator(".tile[data-kind=GPU]")).ToContainTextAsync("503 of 1,344 device-hours idle");
        await page.Locator("select[name=by]").SelectOptionAsync("owner");
        await Expect(rows.Locator("td:first-child")).ToHaveTextAsync(["alice", "bob", "carol"]);
        await page.Locator("select[name=days]").SelectOptionAsync("30");
        await Expect(page).ToHaveURLAsync($"{visitor.Dashboard.Address}/reports?days=30&by=owner");
        await Expect(rows).ToHaveCountAsync(3);

        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByText("Save as CSV").ClickAsync());
        download.SuggestedFilename.ShouldBe("device-hours-30-days.csv");
        (await File.ReadAllLinesAsync(await download.PathAsync(), TestContext.Current.CancellationToken))[..2].ShouldBe(
            ["owner,queue,state,kind,jobs,usedHours,lostHours", "alice,vision,running,GPU,4,402,3"]);

        visitor.Scheduler.DeviceHoursAsked.Select(asked => Math.Round((DateTime.UtcNow - asked.Begin.ToDateTime()).TotalDays))
            .Distinct().ShouldBe([7, 30]);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task DataSets_SayWhichNodesHaveThem()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/data", _faults);

        var rows = page.Locator("table.datasets tbody tr");
        await Expect(rows.Filter(new() { HasText = "image-folder/imagenet" }).Locator("td").Nth(5)).ToHaveTextAsync("gpu-1, gpu-2");
        await Expect(rows.Filter(new() { HasText = "fashion-mnist" }).Locator("td").Nth(5)).ToHaveTextAsync("cpu-1");
        await Expect(rows.Filter(new() { HasText = "cifar-100" }).Locator("td").Nth(5)).ToHaveTextAsync("none");
        await Expect(rows.Filter(new() { HasText = "synthetic" }).Locator("td").Nth(5)).ToHaveTextAsync("every node makes it");
        await Expect(rows.Filter(new() { HasText = "image-folder/imagenet" }).GetByText("as resnet50-photos sees them")).ToBeVisibleAsync();
        await Expect(rows.Filter(new() { HasText = "cifar-100" }).Locator("td").Nth(6)).ToHaveTextAsync("no job has used it yet");
        await rows.Filter(new() { HasText = "fashion-mnist" }).GetByText("cpu-1").ClickAsync();
        await Expect(page.Locator(".node h2")).ToHaveTextAsync(["cpu-1"]);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Samples_AreShownAsTheJobSeesThem_InTheEpochOfTheAddress()
    {
        var job = visitor.Scheduler.Put(Some.Job("sees-shoes"));
        var page = await visitor.OpenAsync($"/jobs/{job.Id}/samples?epoch=3", _faults);

        var pictures = page.Locator(".samples img");
        await Expect(pictures).ToHaveCountAsync(3);
        await Expect(pictures.Last).ToHaveAttributeAsync("alt", "class 2");
        (await pictures.Last.EvaluateAsync<int>("picture => picture.decode().then(() => picture.naturalWidth)")).ShouldBe(28);
        await page.GetByLabel("Epoch").FillAsync("5");
        await page.GetByLabel("Epoch").PressAsync("Enter");
        await Expect(pictures).ToHaveCountAsync(5);
        await Expect(page).ToHaveURLAsync(Looking.AtAddress("epoch=5"));
        visitor.Scheduler.Jobs.TryRemove(job.Id, out _);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Nodes_ShowWhatTheirDevicesMeasure_AndWhatIsWrongWithThem()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/nodes?q=gpu-", _faults);

        var drained = page.Locator(".node", new() { HasText = "gpu-2" });
        await Expect(drained).ToContainTextAsync("Drained by olga");
        await Expect(drained.Locator("tbody tr").Last).ToContainTextAsync("XID 63 ×2");
        var used = page.Locator(".node", new() { HasText = "gpu-1" }).Locator("tbody tr").First;
        foreach (var figure in new[] { "resnet50-photos", "97 %", "88.0 GiB of 141.0 GiB", "61 °C", "640 W", "sound" })
            await Expect(used).ToContainTextAsync(figure);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Overview_LeadsToALostNode()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/", _faults);

        await page.Locator(".attention li", new() { HasText = "cpu-2" }).GetByRole(AriaRole.Link).ClickAsync();

        await Expect(page.Locator(".node h2")).ToHaveTextAsync(["cpu-2"]);
        await Expect(page).ToHaveURLAsync(Looking.AtAddress("/nodes?q=cpu-2"));
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Overview_NamesAJobThatHangs()
    {
        var job = visitor.Scheduler.Put(Some.Job("stands-still", change: job =>
            (job.ReasonCode, job.Reason) = ("hung", "rank 1 is waited for in all-reduce")));

        var page = await visitor.OpenAsync("/", _faults);

        await Expect(page.Locator(".attention li", new() { HasText = "stands-still" })).ToContainTextAsync("hung");
        visitor.Scheduler.Jobs.TryRemove(job.Id, out _);
        _faults.ShouldBeEmpty();
    }
}
