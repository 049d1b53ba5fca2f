using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Pages on which people study what their jobs do and gave.</summary>
[Collection(typeof(Visitors))]
public sealed class StudyPageTests(Visitor visitor) : IAsyncDisposable
{
    private readonly List<string> _faults = [];

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task Job_ShowsWhatItsStepsSpendTheirTimeOn_ByRank_AndWhatWasSetByHand()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var page = await visitor.OpenAsync($"/jobs/{showcase.Running.Id}", _faults);

        await page.ExpectDotsAsync("[data-chart='step time in s']", "1a7f4b", 100); // the third part, on the two below it
        await page.ExpectDotsAsync("[data-chart='memory in GiB']", Looking.FirstColour, 10);
        var ranks = page.Locator("table.ranks tbody tr");
        await Expect(ranks).ToHaveCountAsync(4);
        await Expect(ranks.First).ToContainTextAsync("97 %");
        await Expect(ranks.First).ToContainTextAsync("200.0 ms");
        await Expect(ranks.Nth(2).GetByRole(AriaRole.Img)).ToHaveAccessibleNameAsync(
            "data wait 40.0 ms, forward 61.0 ms, backward 104.0 ms, communication 23.0 ms, optimizer 4.0 ms");
        await page.Locator("summary", new() { HasText = "As it was resolved" }).ClickAsync();
        await Expect(page.Locator("pre.file mark", new() { HasText = "learningRate: 0.4" })).ToBeVisibleAsync();
        await Expect(page.Locator("pre.file mark", new() { HasText = "seed:" })).ToHaveCountAsync(0);
        await Expect(page.Locator("pre.file")).ToContainTextAsync("seed:");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Job_IsPaused_AndResumed()
    {
        var job = visitor.Scheduler.Put(Some.Job("put-aside"));
        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);

        await page.FluentButton("Pause").ClickAsync();
        await page.FluentButton("Pause it").ClickAsync();
        await Expect(page.Locator(".title .state")).ToHaveTextAsync("paused");
        await page.FluentButton("Resume").ClickAsync();
        await Expect(page.Locator(".title .state")).ToHaveTextAsync("queued");
        visitor.Scheduler.Jobs.TryRemove(job.Id, out _);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Trials_ThatAreChosen_ArePausedAndResumed_AndTheBestOnesWeightsSaved()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var trials = visitor.Scheduler.Jobs.Values.Where(job => job.ExperimentId == showcase.Search.Id)
            .OrderBy(job => job.Variant).ToList();
        var (paused, best) = (trials[1].Clone(), showcase.Search.Search.Best);
        paused.State = JobState.Paused;
        visitor.Scheduler.Put(paused);
        visitor.Scheduler.Checkpoints[best.JobId] =
        [
            new Checkpoint { Id = $"{Guid.NewGuid():D}", Epoch = best.Epochs + 1 },
            new Checkpoint { Id = $"{Guid.NewGuid():D}", Epoch = best.Epochs },
        ];
        var page = await visitor.OpenAsync($"/experiments/{showcase.Search.Id}", _faults);
        var row = page.Locator("table.variants tr", new() { HasText = paused.Variant });
        await Expect(row.Locator(".state")).ToHaveTextAsync("paused");

        await row.Locator("input").CheckAsync();
        await page.ChooseAsync("With 1 chosen job", "Resume");
        await Expect(row.Locator(".state")).ToHaveTextAsync("queued");
        visitor.Scheduler.Jobs.Values.Count(job => job.ExperimentId == showcase.Search.Id && job.State == JobState.Queued).ShouldBe(1);
        await Expect(row.Locator("input")).Not.ToBeCheckedAsync();
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByText("Best weights").ClickAsync());
        download.SuggestedFilename.ShouldBe($"checkpoint-{visitor.Scheduler.Checkpoints[best.JobId][1].Id}.safetensors");
        var missing = await page.APIRequest.GetAsync($"{visitor.Dashboard.Address}/jobs/{best.JobId}/weights?epoch={best.Epochs + 2}");
        missing.Status.ShouldBe(404);
        (await missing.TextAsync()).ShouldContain($"the weights of epoch {best.Epochs + 2} are not kept");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Columns_AreChosenByKeyboard_AndStandInTheAddress()
    {
        foreach (var queue in new[] { "b", "a", "c" })
            visitor.Scheduler.Put(Some.Job($"in-queue-{queue}", JobState.Succeeded, change: job => job.QueueName = $"queue-{queue}"));
        var page = await visitor.OpenAsync("/jobs?q=in-queue-", _faults);
        await Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(3);

        await page.TabToAsync(page.Locator("fluent-menu-button"));
        await page.Keyboard.PressAsync("Enter");
        var item = page.Locator("fluent-menu-item", new() { HasText = "Queue" });
        await page.GoToAsync(item, "ArrowDown");
        await page.Keyboard.PressAsync("Enter");
        await Expect(item).ToHaveAttributeAsync("aria-checked", "true");
        await page.Keyboard.PressAsync("Escape");
        await page.Locator("th a", new() { HasText = "Queue" }).ClickAsync();

        await Expect(page).ToHaveURLAsync(Looking.AtAddress("sort=queue", "columns=state,why,queue,"));
        await Expect(page.Locator("table.jobs tbody tr td:nth-child(5)")).ToHaveTextAsync(["queue-a", "queue-b", "queue-c"]);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Runs_AreGrouped_AndAGroupLeadsToItsRuns()
    {
        foreach (var (optimizer, loss) in new[] { ("adam", 1.0), ("adam", 2.0), ("sgd", double.NaN) })
            visitor.Scheduler.Put(Some.Job("grouped-run", JobState.Succeeded, change: job =>
                (job.Spec.Hyperparameters.Optimizer.Name, job.Progress.TrainLoss) = (optimizer, loss)));
        visitor.Scheduler.Conditions["name = 'grouped-run'"] = _ => true;
        visitor.Scheduler.Conditions["name = 'grouped-run' and optimizer = 'adam'"] = run => run.Hyperparameters.Optimizer.Name == "adam";
        var page = await visitor.OpenAsync("/runs?q=name = 'grouped-run'&columns=loss", _faults);
        await Expect(page.Locator("table.runs thead th")).ToHaveCountAsync(3);

        await page.GetByLabel("Group by").SelectOptionAsync("optimizer");

        var groups = page.Locator("table.groups tbody tr");
        await Expect(groups.First).ToContainTextAsync("1.5000");
        await Expect(groups.First).ToContainTextAsync("1.0000 – 2.0000");
        await Expect(groups.Last).ToContainTextAsync("1 not finite");
        await groups.First.Locator("a").ClickAsync();
        await Expect(page.Locator("table.runs tbody tr")).ToHaveCountAsync(2);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Runs_ShowTheSettingsThatTellThemApart_AndOfferTheOthers()
    {
        foreach (var decay in new[] { 0.1, 0.2 })
            visitor.Scheduler.Put(Some.Job($"decay-{decay}", JobState.Succeeded, change: job =>
                job.Spec.Hyperparameters.Optimizer.WeightDecay = decay));
        var page = await visitor.OpenAsync("/runs?sort=weightDecay&desc=true", _faults);

        await Expect(page.Locator("th", new() { HasText = "optimizer.weightDecay" })).ToHaveAttributeAsync("aria-sort", "descending");
        await Expect(page.Locator("table.runs tbody tr td:first-child a")).ToHaveTextAsync(["decay-0.2", "decay-0.1"]);
        await Expect(page.Locator("th", new() { HasText = "optimizer.beta1" })).ToHaveCountAsync(0);
        await page.Locator("fluent-menu-button").ClickAsync();
        await page.Locator("fluent-menu-item:visible", new() { HasText = "optimizer.beta1" }).ClickAsync();
        await Expect(page.Locator("th", new() { HasText = "optimizer.beta1" })).ToHaveCountAsync(1);
        await Expect(page.Locator(".misread")).ToHaveCountAsync(0);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Search_ShowsItsRungs_TheBestSoFar_AndWhatTrialsDifferIn()
    {
        using var showcase = new Showcase(visitor.Scheduler);
        var trials = visitor.Scheduler.Jobs.Values.Where(job => job.ExperimentId == showcase.Search.Id).ToList();
        var last = trials[0].Clone();
        last.State = JobState.Running;
        visitor.Scheduler.Put(last);
        var standing = showcase.Search.Clone();
        standing.States[0].Jobs--;
        standing.States.Add(new JobStateCount { State = JobState.Running, Jobs = 1 });
        visitor.Scheduler.Experiments[standing.Id] = standing;
        var page = await visitor.OpenAsync($"/experiments/{standing.Id}", _faults);

        await Expect(page.Locator(".facts")).ToContainTextAsync("asha, running");
        await Expect(page.Locator("table.rungs tbody tr")).ToContainTextAsync(["1", "4", "16"]);
        await Expect(page.Locator(".parallel polyline")).ToHaveCountAsync(trials.Count);
        await Expect(page.Locator(".parallel .name")).ToHaveTextAsync(
            ["globalBatchSize", "learningRate", "activation", MetricNames.ValidationAccuracy]);
        await page.ExpectDotsAsync("[data-chart='best so far']", Looking.FirstColour, 100);
        await page.FluentButton("Limit").ClickAsync();
        await page.GetByLabel("Trials at most").FillAsync("40");
        await page.FluentButton("Limit it so").ClickAsync();
        await Expect(page.Locator(".facts")).ToContainTextAsync("40 at most");
        await page.FluentButton("Pause").ClickAsync();
        await page.FluentButton("Pause them").ClickAsync();
        await Expect(page.Locator(".facts")).ToContainTextAsync("asha, paused");
        await page.FluentButton("Resume").ClickAsync();
        await Expect(page.Locator(".facts")).ToContainTextAsync("asha, running");
        _faults.ShouldBeEmpty();
    }
}
