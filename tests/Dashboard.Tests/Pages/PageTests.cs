using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using Microsoft.Playwright;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>Pages in Debian's Chromium, of a cluster that the test makes up.</summary>
[Collection(typeof(Visitors))]
public sealed class PageTests(Visitor visitor) : IAsyncDisposable
{
    private readonly List<string> _faults = [];

    private FakeScheduler Scheduler => visitor.Scheduler;

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task Overview_CountsDevicesAndJobs_AndSaysWhatWaitsAndWhatNeedsAttention()
    {
        Scheduler.Nodes.Clear();
        foreach (var node in new[] { Some.Node("busy", job: "a job"), Some.Node("idle"), Some.Node("gone", NodeState.Lost) })
            Scheduler.Nodes[node.Id] = node;
        Scheduler.Put(Some.Job("too-large", JobState.Queued, change: job =>
            (job.ReasonCode, job.Reason) = ("infeasible", "devices is 12 but the largest node has 8")));
        Scheduler.Put(Some.Job("in-line", JobState.Queued, change: job =>
            (job.ReasonCode, job.Reason) = ("waiting_for_devices", "1 device is free, 4 are needed")));

        var page = await visitor.OpenAsync("/", _faults);

        await Expect(page.Locator(".tile").First).ToContainTextAsync("1 of 2 in use");
        var attention = page.Locator(".attention");
        await Expect(attention.Locator("li", new() { HasText = "too-large" })).ToContainTextAsync("infeasible");
        await Expect(attention.Locator("li", new() { HasText = "gone" })).ToContainTextAsync("lost");
        await Expect(page.Locator("section", new() { HasText = "What waits, and why" }))
            .ToContainTextAsync("1 device is free, 4 are needed");
        Scheduler.Nodes.Clear();
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Jobs_AreFilteredSortedAndPaged_ByTheAddress_AndComeByThemselves()
    {
        foreach (var number in Enumerable.Range(0, 60))
            Scheduler.Put(Some.Job($"paged-{number:00}", JobState.Succeeded, number));

        var page = await visitor.OpenAsync("/jobs?q=paged&sort=name&desc=false", _faults);

        var names = page.Locator("table.jobs tbody tr td:nth-child(2) a");
        await Expect(names).ToHaveCountAsync(50);
        await Expect(names.First).ToHaveTextAsync("paged-00");
        await page.GetByRole(AriaRole.Link, new() { Name = "Next" }).ClickAsync();
        await Expect(names).ToHaveCountAsync(10);
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("page=2"));
        await page.Locator("th a", new() { HasText = "Job" }).ClickAsync();
        await Expect(names.First).ToHaveTextAsync("paged-59");
        await page.Locator("input[type=search]").FillAsync("paged-07");
        await Expect(names).ToHaveTextAsync(["paged-07"]);
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("q=paged-07"));
        Scheduler.Put(Some.Job("paged-07-again", JobState.Queued, 100));
        await Expect(names).ToHaveCountAsync(2);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task ChosenJobs_AreCompared_OrCancelledOnceThatIsConfirmed()
    {
        var (one, other) = (Scheduler.Put(Some.Job("chosen-a")), Scheduler.Put(Some.Job("chosen-b")));
        var page = await visitor.OpenAsync("/jobs?q=chosen-", _faults);

        foreach (var name in new[] { "chosen-a", "chosen-b" })
            await page.Locator("tr", new() { HasText = name }).Locator("input").CheckAsync();
        await page.FluentButton("Compare 2").ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Compare 2 jobs" })).ToBeVisibleAsync();
        await page.GoBackAsync();
        await page.Locator("tr", new() { HasText = "chosen-a" }).Locator("input").CheckAsync();
        await page.ChooseAsync("With 1 chosen job", "Cancel");
        await page.FluentButton("Leave it").ClickAsync();
        await Expect(page.Locator("fluent-dialog")).ToHaveCountAsync(0);
        await page.ChooseAsync("With 1 chosen job", "Cancel");
        await page.FluentButton("Cancel them").ClickAsync();

        await Expect(page.Locator("tr", new() { HasText = "chosen-a" }).Locator(".state")).ToHaveTextAsync("cancelled");
        Scheduler.Jobs[one.Id].State.ShouldBe(JobState.Cancelled);
        Scheduler.Jobs[other.Id].State.ShouldBe(JobState.Running);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task TenThousandJobs_AreFoundAndCounted_InAPageOfLessThanAMegabyte()
    {
        foreach (var number in Enumerable.Range(0, 10_000))
            Scheduler.Put(Some.Job($"many-{number:00000}", number % 10 == 0 ? JobState.Queued : JobState.Succeeded, -number));
        var (page, received) = await visitor.OpenCountedAsync("/jobs?q=many-", FakeScheduler.OtherToken);

        await Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(50);
        await Expect(page.Locator(".filters")).ToContainTextAsync("10,000");
        await page.Locator("input[type=search]").FillAsync("many-07777");
        await Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(1);
        received().ShouldBeLessThan(1 << 20);
        foreach (var job in Scheduler.Jobs.Values.Where(job => job.Spec.Name.StartsWith("many-", StringComparison.Ordinal)).ToList())
            Scheduler.Jobs.TryRemove(job.Id, out _);
    }

    [Fact]
    public async Task JobPage_FollowsItsJob_AndShowsCurvesEventsLogAndCheckpoints()
    {
        var job = Scheduler.Put(Some.Job("followed"));
        Scheduler.Checkpoints[job.Id] = [new Checkpoint { Id = $"{Guid.NewGuid():D}", Step = 100, Epoch = 1, Bytes = 3 << 20 }];
        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);
        await Expect(page.Locator(".title .state")).ToHaveTextAsync("running");
        await Expect(page.Locator(".facts")).ToContainTextAsync("worker-1/cpu:0");

        Scheduler.Points[job.Id] = [.. Enumerable.Range(1, 100).Select(step => Some.Point(MetricNames.TrainLoss, step, 1.0 / step))];
        Scheduler.PutLines(job.Id, "epoch 1", "warning: slow", "error: broken");
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.FirstColour, 100);
        await Expect(page.Locator(".log .line")).ToHaveCountAsync(3);
        await page.GetByLabel("Level").SelectOptionAsync("warnings and errors");
        await Expect(page.Locator(".log .line")).ToHaveCountAsync(2);
        await page.Locator(".filters input[type=search]").FillAsync("BROKEN");
        await Expect(page.Locator(".log .line")).ToContainTextAsync(["error: broken"]);
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("level=warning", "log=BROKEN"));
        var shared = await visitor.OpenAsync(new Uri(page.Url).PathAndQuery, _faults);
        await Expect(shared.Locator(".log .line")).ToContainTextAsync(["error: broken"]);
        await Expect(shared.GetByLabel("Level")).ToHaveValueAsync("Warning");
        await Expect(page.Locator(".events tbody tr")).ToHaveCountAsync(1);
        await page.Locator("summary").ClickAsync();
        await Expect(page.Locator("pre.file")).ToContainTextAsync("learningRate: 0.002");
        await Expect(page.Locator("pre.file mark")).ToContainTextAsync(["name: followed"]);
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByText("Download").ClickAsync());
        (await File.ReadAllTextAsync(await download.PathAsync(), TestContext.Current.CancellationToken)).ShouldContain("\"shape\":[2,4]");

        var over = job.Clone();
        over.State = JobState.Succeeded;
        Scheduler.Put(over);
        await Expect(page.Locator(".title .state")).ToHaveTextAsync("succeeded");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task JobPage_OfValuesThatAreNotFinite_MarksTheGaps_AndDrawsEveryOtherCurve()
    {
        var job = Scheduler.Put(Some.Job("odd", JobState.Failed, change: job => job.Progress.TrainLoss = double.NaN));
        Scheduler.Points[job.Id] =
        [
            .. Enumerable.Range(1, 200).Select(step => Some.Point(MetricNames.TrainLoss, step, step switch
            {
                1 or > 190 => double.NaN,
                >= 50 and < 60 => double.PositiveInfinity,
                _ => 2 - (step / 200.0),
            })),
            Some.Point(MetricNames.ValidationLoss, 100, 1.5), Some.Point(MetricNames.ValidationLoss, 200, 1.2),
            Some.Point(MetricNames.TestLoss, 200, double.NegativeInfinity),
            .. Enumerable.Range(1, 200).Select(step => Some.Point(MetricNames.TrainAccuracy, step, step / 200.0)),
        ];

        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);

        await Expect(page.Locator("[data-chart=loss] .odd")).ToHaveTextAsync(
            "train/loss is NaN (×) at step 1, and has no place on the axis at others; test/loss is -∞ (▼) at step 200");
        await Expect(page.Locator("[data-chart=accuracy] .odd")).ToBeEmptyAsync();
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.FirstColour, 200); // the finite part of the curve
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.SecondColour, 10); // another curve of the chart
        await page.ExpectDotsAsync("[data-chart=accuracy]", Looking.FirstColour, 200); // another chart
        await Expect(page.Locator(".facts")).ToContainTextAsync("NaN");
        _faults.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(3e38, "")]
    [InlineData(1.7e308, "train/loss is -1.7e+308 (▼) at step 1, and has no place on the axis at others")]
    public async Task JobPage_OfVeryLargeValues_DrawsThemOrMarksThem(double value, string remark)
    {
        var job = Scheduler.Put(Some.Job("large", JobState.Failed));
        Scheduler.Points[job.Id] =
        [
            .. Enumerable.Range(1, 100)
                .Select(step => Some.Point(MetricNames.TrainLoss, step, step is 1 ? -value : step is 100 ? value : 1)),
        ];

        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);

        await page.ExpectDotsAsync("[data-chart=loss]", Looking.FirstColour, 0);
        await Expect(page.Locator("[data-chart=loss] .odd")).ToHaveTextAsync(remark);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task RunThatGoesBack_LosesThePointsAfterItsCheckpoint()
    {
        var job = Scheduler.Put(Some.Job("gone-back"));
        Scheduler.Points[job.Id] = [.. Enumerable.Range(1, 10).Select(step => Some.Point(MetricNames.TrainLoss, step, double.NaN))];
        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);
        await Expect(page.Locator("[data-chart=loss] .odd")).ToContainTextAsync("train/loss is NaN");

        // First what comes live, which does not follow on what was there; then what a new reading gives.
        Scheduler.Points[job.Id] = [.. Scheduler.Points[job.Id], Some.Point(MetricNames.TrainLoss, 5, 1)];
        Scheduler.Tell();
        await Scheduler.ReadAgainAsync(job.Id);
        Scheduler.Points[job.Id] = [.. Enumerable.Range(1, 11).Select(step => Some.Point(MetricNames.TrainLoss, step, 1))];
        Scheduler.Tell();

        await Expect(page.Locator("[data-chart=loss] .odd")).ToBeEmptyAsync();
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task WhatComesFromElsewhere_IsShownAsWhatItIs()
    {
        const string Script = "<script>window.ran = true</script><img src=x onerror='window.ran = true'>";
        var job = Scheduler.Put(Some.Job(Script, JobState.Failed, change: made => (made.Reason, made.Owner) = (Script, Script)));
        Scheduler.PutLines(job.Id, "\u001b[31mred\u001b[0m", Script);
        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);

        await Expect(page.Locator("h1")).ToHaveTextAsync(Script);
        await Expect(page.Locator(".log .line")).ToContainTextAsync(["␛[31mred␛[0m", Script]);
        await page.GotoAsync($"{visitor.Dashboard.Address}/jobs?q={job.Id}");
        await Expect(page.Locator("table.jobs tbody tr")).ToContainTextAsync(Script);
        (await page.EvaluateAsync<bool>("window.ran === undefined")).ShouldBeTrue();
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task SubmitAgain_BeginsWithTheJobsFile_AndLeadsToTheNewJob()
    {
        var job = Scheduler.Put(Some.Job("again", JobState.Succeeded));
        var page = await visitor.OpenAsync($"/jobs/{job.Id}", _faults);
        await page.GetByRole(AriaRole.Link, new() { Name = "Submit again with changes" }).ClickAsync();
        var file = page.GetByLabel("Job file");
        await page.WaitForFunctionAsync(
            "() => document.querySelector('textarea')?.value.includes('name: again')");

        await file.FillAsync("name: again\nmodel: nonsense\ndata: fashion-mnist");
        await page.FluentButton("Check").ClickAsync();
        await Expect(page.Locator(".refused")).ToContainTextAsync("nonsense");
        // Much longer than a form's usual field.
        await file.FillAsync(
            $"name: changed\nmodel: lenet5\ndata: fashion-mnist\nhyperparameters: {{epochs: 3}}\n# {new string('x', 200_000)}");
        await page.FluentButton("Submit").ClickAsync();

        await Expect(page.Locator("h1")).ToHaveTextAsync("changed");
        Scheduler.Submitted.Last().Yaml.ShouldContain("epochs: 3");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Compare_LaysCurvesOverEachOther_AndSaysWhatDiffers()
    {
        var jobs = new[] { 0.1, 0.2 }.Select(rate => Scheduler.Put(Some.Job($"rate-{rate}", JobState.Succeeded, change: job =>
            job.Spec.Hyperparameters.Optimizer.LearningRate = rate))).ToList();
        foreach (var job in jobs)
            Scheduler.Points[job.Id] =
                [.. Enumerable.Range(1, 200).Select(step => Some.Point(MetricNames.TrainLoss, step, 1 + (step / 200.0)))];

        var page = await visitor.OpenAsync($"/compare?jobs={string.Join(',', jobs.Select(job => job.Id[..8]))}&part=train", _faults);

        await page.ExpectDotsAsync(".chart", Looking.SecondColour, 100);
        await Expect(page.Locator(".differences tbody tr")).ToHaveCountAsync(1);
        await Expect(page.Locator(".differences tbody tr")).ToContainTextAsync("hyperparameters.optimizer.learningRate");
        await Expect(page.Locator(".differences tbody td")).ToHaveTextAsync(["0.1", "0.2"]);
        foreach (var (axis, label) in new[] { ("Step", "step"), ("Time", "minute"), ("Clock", "time"), ("Epoch", "epoch") })
        {
            await page.Locator("select[name=by]").SelectOptionAsync(axis);
            await Expect(page.Locator(".u-legend .u-label").First).ToHaveTextAsync(label);
            await page.ExpectDotsAsync(".chart", Looking.SecondColour, 100);
        }

        // One after the other: a choice is made from the one that the page shows.
        await page.GetByLabel("logarithmic", new() { Exact = true }).CheckAsync();
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("&log=true"));
        await page.GetByLabel("logarithmic epoch").CheckAsync();
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("&log=true&logx=true"));
        await page.GetByLabel("Smoothing").FillAsync("0.9");
        await Assertions.Expect(page).ToHaveURLAsync(Looking.AtAddress("&log=true&logx=true&smooth=0.9"));
        await page.ExpectDotsAsync(".chart", Looking.SecondColour, 100);
        await page.GetByRole(AriaRole.Button, new() { Name = "Take rate-0.1 away" }).ClickAsync();
        await Expect(page.Locator(".results tbody tr")).ToHaveCountAsync(1);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Compare_OfOneJobByTwoBeginningsOfItsId_HasItOnce()
    {
        var job = Scheduler.Put(Some.Job("named-twice", JobState.Succeeded));

        var page = await visitor.OpenAsync($"/compare?jobs={job.Id[..6]},{job.Id[..9]}", _faults);

        await Expect(page.Locator("h1")).ToHaveTextAsync("Compare 1 job");
        await Expect(page.Locator(".results tbody tr")).ToHaveCountAsync(1);
        await Assertions.Expect(page).Not.ToHaveURLAsync(Looking.AtAddress(","));
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Node_IsDrainedWithAReason_AndResumed()
    {
        var node = Some.Node("fan-broken");
        Scheduler.Nodes[node.Id] = node;
        var page = await visitor.OpenAsync("/nodes?q=fan", _faults);

        await page.Locator("fluent-button[aria-label='Drain fan-broken']").ClickAsync();
        await page.GetByLabel("Reason").FillAsync("new fans");
        await page.FluentButton("Drain it").ClickAsync();
        await Expect(page.Locator(".node .state")).ToHaveTextAsync("drained");
        await Expect(page.Locator(".node")).ToContainTextAsync("by olga");
        await Expect(page.Locator(".node")).ToContainTextAsync("new fans");
        await page.Locator("fluent-button[aria-label='Resume fan-broken']").ClickAsync();
        await Expect(page.Locator(".node .state")).ToHaveTextAsync("ready");

        Scheduler.Nodes.TryRemove(node.Id, out _);
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Runs_AreFilteredByTheirColumns_AndSavedAsCsv()
    {
        foreach (var epochs in new[] { 3, 30, 300 })
            Scheduler.Put(Some.Job($"run-of-{epochs}", JobState.Succeeded, change: job => job.Spec.Hyperparameters.Epochs = epochs));
        const string Condition = "epochs >= 30 and model = 'lenet5'";
        Scheduler.Conditions[Condition] = run => run.Hyperparameters.Epochs >= 30;
        var page = await visitor.OpenAsync("/runs", _faults);
        var rows = page.Locator("table.runs tbody tr");
        await Expect(rows).ToHaveCountAsync(3);

        await page.Locator("input[type=search]").FillAsync("epochs >> 30");
        await page.Locator("input[type=search]").PressAsync("Enter");
        await Expect(page.Locator(".refused")).ToHaveTextAsync("where, character 1: epochs >> 30 means nothing here");
        await Expect(rows).ToHaveCountAsync(0);
        await page.Locator("input[type=search]").FillAsync(Condition);
        await page.Locator("input[type=search]").PressAsync("Enter");
        await Expect(rows).ToHaveCountAsync(2);
        await Expect(page.Locator(".refused")).ToHaveCountAsync(0);
        await page.Locator("th a", new() { HasText = "Epochs" }).ClickAsync();
        await Expect(rows.First).ToContainTextAsync("run-of-300");
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByText("Save as CSV").ClickAsync());
        var lines = await File.ReadAllLinesAsync(await download.PathAsync(), TestContext.Current.CancellationToken);
        lines.Length.ShouldBe(3);
        lines[0].ShouldStartWith("name,id,state,owner,model,data,optimizer,lr,batch,epochs");
        lines[0].ShouldContain(",hyperparameters.optimizer.weightDecay,");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Keyboard_LeadsPastTheMenu_ToTheJob()
    {
        var job = Scheduler.Put(Some.Job("by-keyboard", JobState.Succeeded));
        var page = await visitor.OpenAsync($"/jobs?q={job.Id}", _faults);
        await Expect(page.Locator("table.jobs tbody tr")).ToHaveCountAsync(1);

        await page.EvaluateAsync("() => document.activeElement.blur()");
        await page.Keyboard.PressAsync("Tab");
        await Expect(page.Locator(".skip")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");
        var link = page.GetByRole(AriaRole.Link, new() { Name = "by-keyboard" });
        await page.TabToAsync(link);
        await page.Keyboard.PressAsync("Enter");

        await Expect(page.Locator("h1")).ToHaveTextAsync("by-keyboard");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task UnknownAddress_IsSaidToBeOne()
    {
        var page = await visitor.OpenAsync("/", _faults);

        var answer = await page.GotoAsync($"{visitor.Dashboard.Address}/no-such-page");

        answer!.Status.ShouldBe(404);
        await Expect(page.Locator("h1")).ToHaveTextAsync("There is no such page");
    }

    private static ILocatorAssertions Expect(ILocator locator) => Assertions.Expect(locator);
}
