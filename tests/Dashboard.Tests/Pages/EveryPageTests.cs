using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>What holds for all pages: each is looked at, walked through by keyboard, and follows the cluster.</summary>
[Collection(typeof(Visitors))]
public sealed class EveryPageTests(Visitor visitor) : IAsyncDisposable
{
    private const int Height = 900;

    // A laptop's, and a telephone's.
    private const int Wide = 1280;
    private const int Narrow = 390;

    // Each colour scheme and each width once; the other two pairs are of the full round.
    private static readonly Look[] Usual = [new(ColorScheme.Light, Wide), new(ColorScheme.Dark, Narrow)];
    private static readonly Look[] Others = [new(ColorScheme.Light, Narrow), new(ColorScheme.Dark, Wide)];

    // Returns once what fades, in components too, has come to its end.
    private const string Settled = """
        async () => {
          const all = root => [...root.querySelectorAll('*')].flatMap(e => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e]);
          await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
          await Promise.allSettled(all(document).flatMap(e => e.getAnimations())
            .filter(a => a.effect.getComputedTiming().iterations < Infinity).map(a => a.finished));
        }
        """;

    // What passes is not told in full: a long table's cells take longer to list than to check.
    private static readonly AxeRunOptions AxeOptions = new() { ResultTypes = [ResultType.Violations] };

    private readonly List<string> _faults = [];

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public Task EveryPage_IsAccessible_InLightAndDark_AndOnANarrowScreen() => LookAtPagesAsync(Usual);

    [Fact]
    [Trait("Round", "full")]
    public Task EveryPage_IsAccessible_InTheOtherLooks() => LookAtPagesAsync(Others);

    [Fact]
    public Task EveryDialogAndMenu_IsAccessible_InLightAndDark_AndOnANarrowScreen() => LookAtDialogsAsync(Usual);

    [Fact]
    [Trait("Round", "full")]
    public Task EveryDialogAndMenu_IsAccessible_InTheOtherLooks() => LookAtDialogsAsync(Others);

    [Fact]
    public async Task EveryPage_IsWalkedThroughByKeyboard_AndShowsWhereOneIs()
    {
        // What a key can reach, seen or yet to be scrolled to, but not the parts of what is closed.
        const string Stops = """
            () => [...document.querySelectorAll(
                'a[href], button, input, select, textarea, summary, fluent-button, fluent-menu-button, [tabindex="0"]')]
                .filter(stop => stop.tabIndex >= 0 && !stop.disabled && stop.type !== 'hidden' && stop.checkVisibility())
            """;
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/", _faults);
        foreach (var (name, address, sign, fewest) in EveryPage.Of(showcase))
        {
            await page.GotoAsync(visitor.Dashboard.Address + address);
            await Expect(page.Locator(sign).First).ToBeVisibleAsync();
            (await page.EvaluateAsync<int>($"({Stops})().length")).ShouldBeGreaterThan(fewest, name);
            await page.EvaluateAsync("document.activeElement.blur()");
            // Rows may come while the first way through goes on.
            if ((await WalkAsync(name)).Length > 0)
                (await WalkAsync(name)).ShouldBeEmpty(name);
        }

        _faults.ShouldBeEmpty();

        // Of one way through by the Tab key: what it missed.
        async Task<string[]> WalkAsync(string name)
        {
            var stops = await page.EvaluateAsync<int>($"({Stops})().length");
            for (var press = 0; press <= stops; press++)
            {
                await page.Keyboard.PressAsync("Tab");
                var unseen = await page.EvaluateAsync<string>(
                    """
                    () => {
                        const here = document.activeElement;
                        here.dataset.walked = 'true';
                        const looks = [here, here.shadowRoot?.activeElement].filter(part => part).map(part => getComputedStyle(part));
                        const isSeen = looks.some(look => look.outlineStyle !== 'none' || look.boxShadow !== 'none');
                        return isSeen || here === document.body ? '' : here.outerHTML.slice(0, 200);
                    }
                    """);
                unseen.ShouldBeEmpty(name);
            }

            return await page.EvaluateAsync<string[]>(
                $"({Stops})().filter(stop => !stop.dataset.walked).map(stop => stop.outerHTML.slice(0, 200))");
        }
    }

    [Fact]
    public async Task PagesThatAreOpen_FollowTheCluster()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var scheduler = visitor.Scheduler;
        var (first, second) = (showcase.Compared[0], showcase.Compared[1]);
        var trials = new[] { "trial-98", "trial-99" }.Select(variant => Some.Job(variant, JobState.Queued, change: job =>
            (job.ExperimentId, job.Variant) = (showcase.Search.Id, variant))).ToList();
        scheduler.Put(trials[0]);
        var overview = await visitor.OpenAsync("/", _faults);
        var experiments = await visitor.OpenAsync("/experiments", _faults);
        var experiment = await visitor.OpenAsync($"/experiments/{showcase.Search.Id}", _faults);
        var compare = await visitor.OpenAsync($"/compare?jobs={first.Id[..8]},{showcase.Running.Id[..8]}", _faults);
        var nodes = await visitor.OpenAsync("/nodes", _faults);
        var data = await visitor.OpenAsync("/data", _faults);
        scheduler.Conditions["name = 'resnet50-photos'"] = run => run.Name == "resnet50-photos";
        var runs = await visitor.OpenAsync("/runs?q=name = 'resnet50-photos'", _faults);
        var running = compare.Locator(".results tr", new() { HasText = "resnet50-photos" });
        await Expect(running.Locator(".state")).ToHaveTextAsync("running");
        await Expect(experiment.Locator("table.variants tbody tr")).ToHaveCountAsync(21);
        await Expect(runs.Locator("table.runs tbody tr")).ToHaveCountAsync(1);
        await Expect(runs.Locator(".title")).ToContainTextAsync("1 run is not over: the figures are of when this was read.");

        var over = showcase.Running.Clone();
        (over.State, over.FinishedAt, over.Reason) = (JobState.Failed, over.StartedAt, "out of memory");
        over.FinishedAt = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow);
        scheduler.Put(over);
        var more = new Experiment { Id = $"{Guid.NewGuid():D}", Name = "comes-later", Owner = "bob", CreatedAt = Some.At(0) };
        scheduler.Experiments[more.Id] = more;
        var node = Some.Node("comes-later");
        node.DataSets.Add("cifar-100");
        scheduler.Nodes[node.Id] = node;
        trials[1].CreatedAt = over.FinishedAt;
        scheduler.Put(trials[1]);
        var again = Some.Job("resnet50-photos", JobState.Succeeded, change: job => job.CreatedAt = over.FinishedAt);
        scheduler.Put(again);

        await Expect(overview.Locator(".attention li", new() { HasText = "out of memory" })).ToBeVisibleAsync();
        await Expect(experiments.Locator("table.experiments tbody")).ToContainTextAsync("comes-later");
        await Expect(experiment.Locator("table.variants tbody tr")).ToHaveCountAsync(22);
        await Expect(running.Locator(".state")).ToHaveTextAsync("failed");
        await Expect(nodes.Locator(".node h2", new() { HasText = "comes-later" })).ToBeVisibleAsync();
        await Expect(data.Locator("tr", new() { HasText = "cifar-100" })).ToContainTextAsync("comes-later");
        await Expect(runs.Locator(".title")).ToContainTextAsync("Newer runs have come.");
        await runs.FluentButton("Read again").ClickAsync();
        await Expect(runs.Locator("table.runs .state")).ToHaveTextAsync(["succeeded", "failed"]);
        await Expect(runs.Locator(".title [role=status]")).ToBeEmptyAsync();

        foreach (var job in trials.Append(again))
            scheduler.Jobs.TryRemove(job.Id, out _);
        scheduler.Experiments.TryRemove(more.Id, out _);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Curve_IsHiddenAndShownByKeyboard()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync($"/jobs/{showcase.Running.Id}", _faults);
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.SecondColour, 2);
        var names = page.Locator("[data-chart=loss] .u-series:not(:first-child) th");

        await page.TabToAsync(names.First);
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(names.Nth(1)).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");

        await Expect(names.Nth(1)).ToHaveAttributeAsync("aria-pressed", "false");
        await page.ExpectNoDotsAsync("[data-chart=loss]", Looking.SecondColour);
        await page.Keyboard.PressAsync("Space");
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.SecondColour, 2);
        _faults.ShouldBeEmpty();
    }

    private async Task LookAtPagesAsync(Look[] looks)
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/", _faults);
        foreach (var (name, address, sign, _) in EveryPage.Of(showcase))
        {
            await page.GotoAsync(visitor.Dashboard.Address + address);
            await Expect(page.Locator(sign).First).ToBeVisibleAsync();
            await LookAsync(page, name, looks);
        }

        _faults.ShouldBeEmpty();
    }

    private async Task LookAtDialogsAsync(Look[] looks)
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync("/nodes?q=gpu-1", _faults);
        await page.FluentButton("Drain").ClickAsync();
        await Expect(page.Locator("dialog[open]")).ToHaveAccessibleNameAsync("Drain gpu-1?");
        await LookAsync(page, "drain", looks);
        await page.GotoAsync($"{visitor.Dashboard.Address}/jobs/{showcase.Running.Id}");
        await page.FluentButton("Cancel").ClickAsync();
        await Expect(page.Locator("dialog[open]")).ToHaveAccessibleNameAsync("Cancel this job?");
        await LookAsync(page, "confirm", looks);
        await page.GotoAsync($"{visitor.Dashboard.Address}/jobs");
        await page.Locator("fluent-menu-button").ClickAsync();
        await Expect(page.Locator("fluent-menu-item").First).ToBeVisibleAsync();
        await LookAsync(page, "columns", looks);

        _faults.ShouldBeEmpty();
    }

    private static async Task LookAsync(IPage page, string name, Look[] looks)
    {
        foreach (var (scheme, width) in looks)
        {
            // Buttons fade from one scheme's colours into the other's, and in between nobody could read them.
            await page.EmulateMediaAsync(new() { ColorScheme = scheme, ReducedMotion = ReducedMotion.Reduce });
            await page.SetViewportSizeAsync(width, Height);
            await page.EvaluateAsync(Settled);
            if (DocumentationTests.ArePicturesWanted)
                await page.ScreenshotAsync(new() { Path = Screenshot($"{name}-{scheme}-{width}"), FullPage = true });
            var findings = (await page.RunAxe(AxeOptions)).Violations.Where(finding => finding.Impact is "serious" or "critical");
            findings.Select(finding => $"{name}, {scheme}, {width}: {Words(finding)}").ShouldBeEmpty();
            // A wide table scrolls within itself, not the page.
            (await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth")).ShouldBeTrue($"{name} at {width}");
        }
    }

    private static string Words(AxeResultItem finding) => $"{finding.Id}: {finding.Nodes[0].Html}";

    private static string Screenshot(string name) =>
        Path.Combine(Repository.Root, "artifacts", "test-results", "dashboard", $"{name.ToLowerInvariant()}.png");

    /// <param name="Width">Of the window.</param>
    private sealed record Look(ColorScheme Scheme, int Width);
}
