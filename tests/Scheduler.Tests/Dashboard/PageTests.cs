using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests;
using Cluster.Scheduler.Tests.Fixtures;
using Microsoft.Playwright;

namespace Cluster.Scheduler.Tests.Dashboard;

/// <summary>The pages in Debian's Chromium, of jobs whose figures a test makes up.</summary>
[Collection(typeof(ApiTests))]
public sealed class PageTests(SharedScheduler shared) : IAsyncLifetime
{
    private const string FirstColour = "7fa8e8";
    private const string SecondColour = "d9730d";

    private const string DotsScript = """
        ([chart, colour]) => {
            const canvas = document.querySelector(`${chart} canvas`);
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const wanted = [0, 2, 4].map(at => parseInt(colour.slice(at, at + 2), 16));
            let dots = 0;
            for (let at = 0; at < data.length; at += 4)
                dots += wanted.every((part, index) => Math.abs(data[at + index] - part) < 50) && data[at + 3] > 100;
            return dots;
        }
        """;

    private readonly List<string> _faults = [];
    private IPlaywright _playwright = null!;
    private IBrowser _browser = null!;

    private TestScheduler Scheduler => shared.Scheduler;

    public async ValueTask InitializeAsync()
    {
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(Chromium.Options);
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }

    [Fact]
    public async Task JobPage_OfValuesThatAreNotFinite_MarksTheGaps_AndDrawsEveryOtherCurve()
    {
        var trainer = await Scheduler.RunAsync("odd-page-node");
        await ReportOddLossAsync(trainer);

        var page = await OpenAsync($"#/jobs/{trainer.Job}");

        await Assertions.Expect(page.Locator("[data-chart=loss] .odd")).ToHaveTextAsync(
            "train/loss is NaN (×) at step 1, and has no place on the axis at others; test/loss is -∞ (▼) at step 200");
        await Assertions.Expect(page.Locator("[data-chart=accuracy] .odd")).ToBeEmptyAsync();
        (await DotsAsync(page, "[data-chart=loss]", FirstColour)).ShouldBeGreaterThan(200, "the finite part of the curve");
        (await DotsAsync(page, "[data-chart=loss]", SecondColour)).ShouldBeGreaterThan(10, "another curve of the chart");
        (await DotsAsync(page, "[data-chart=accuracy]", FirstColour)).ShouldBeGreaterThan(200, "another chart");
        await Assertions.Expect(page.Locator(".facts")).ToContainTextAsync("NaN");
        // The list shows what the job's newest figures are, and every other job.
        await page.GotoAsync($"{Scheduler.HttpAddress}#/");
        await Assertions.Expect(page.Locator("table.jobs tr", new() { HasText = trainer.Job[..8] })).ToContainTextAsync("NaN");
        _faults.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(3e38, "")]
    [InlineData(1.7e308, "train/loss is -1.7e+308 (▼) at step 1, and has no place on the axis at others")]
    public async Task JobPage_OfVeryLargeValues_DrawsThemOrMarksThem(double value, string remark)
    {
        var trainer = await Scheduler.RunAsync($"large-page-node-{remark.Length}");
        await trainer.ReportAsync(
            [.. Enumerable.Range(1, 100).Select(step => Point(MetricNames.TrainLoss, step, step is 1 ? -value : step is 100 ? value : 1))]);

        var page = await OpenAsync($"#/jobs/{trainer.Job}");

        await Assertions.Expect(page.Locator("[data-chart=loss] canvas")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator("[data-chart=loss] .odd")).ToHaveTextAsync(remark);
        await Assertions.Expect(page.Locator("[data-chart=loss] .u-legend")).ToBeVisibleAsync();
        await page.WaitForFunctionAsync(DotsScript, new[] { "[data-chart=loss]", FirstColour });
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task ExperimentPage_OfValuesThatAreNotFinite_MarksTheGaps_AndDrawsEveryOtherCurve()
    {
        var experiment = await Scheduler.RunExperimentAsync("odd-experiment-node", "[relu, tanh]");
        await ReportOddLossAsync(experiment.Trainers[0]);
        await experiment.Trainers[1].ReportAsync(
            [.. Enumerable.Range(1, 200).Select(step => Point(MetricNames.TrainLoss, step, 1.0 / step))]);

        var page = await OpenAsync($"#/experiments/{experiment.Id}");
        await page.Locator("select[name=part]").SelectOptionAsync("train");
        await Assertions.Expect(page.Locator(".overlay .odd"))
            .ToHaveTextAsync("activation=relu is NaN (×) at epoch 1, and has no place on the axis at others");
        await page.Locator("select[name=by]").SelectOptionAsync("step");

        await Assertions.Expect(page.Locator(".overlay .odd"))
            .ToHaveTextAsync("activation=relu is NaN (×) at step 1, and has no place on the axis at others");
        (await DotsAsync(page, ".overlay", FirstColour)).ShouldBeGreaterThan(200, "the finite part of the curve");
        (await DotsAsync(page, ".overlay", SecondColour)).ShouldBeGreaterThan(200, "the other job's curve");
        _faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Pages_OfAVeryLongRun_ShowItsSpike_AndItsGap()
    {
        var experiment = await Scheduler.RunExperimentAsync("long-page-node", "[relu]");
        var job = experiment.Trainers[0].Job;
        await Scheduler.ExecuteAsync($"""
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select '{job}', 1, 0, '{MetricNames.TrainLoss}', step, 1 + step / 100, now(),
                case step when 77777 then 'NaN' when 33333 then 1000 else 0.5 end
            from generate_series(1, 200000) step
            """);

        var page = await OpenAsync($"#/jobs/{job}");
        await Assertions.Expect(page.Locator("[data-chart=loss] .odd"))
            .ToHaveTextAsync("train/loss is NaN (×) at step 77777", new() { Timeout = 60_000 });
        (await DotsAsync(page, "[data-chart=loss]", FirstColour)).ShouldBeGreaterThan(400, "a line as wide as the chart, and one as high");
        await page.GotoAsync($"{Scheduler.HttpAddress}#/experiments/{experiment.Id}");
        await page.Locator("select[name=part]").SelectOptionAsync("train");
        await Assertions.Expect(page.Locator(".overlay .odd"))
            .ToHaveTextAsync("activation=relu is NaN (×) at epoch 778", new() { Timeout = 60_000 });
        _faults.ShouldBeEmpty();
    }

    /// <summary>A loss that begins, jumps and ends without a finite value, and others beside it that are sound.</summary>
    private static async Task ReportOddLossAsync(TestTrainer trainer)
    {
        await trainer.ReportAsync([.. Enumerable.Range(1, 200).Select(step => Point(MetricNames.TrainLoss, step, step switch
        {
            1 or > 190 => double.NaN,
            >= 50 and < 60 => double.PositiveInfinity,
            _ => 2 - (step / 200.0),
        }))]);
        await trainer.ReportAsync([.. Enumerable.Range(1, 200).Select(step => Point(MetricNames.TrainAccuracy, step, step / 200.0))]);
        await trainer.ReportAsync(new ReportRequest
        {
            Points =
            {
                Point(MetricNames.ValidationLoss, 100, 1.5), Point(MetricNames.ValidationLoss, 200, 1.2),
                Point(MetricNames.TestLoss, 200, double.NegativeInfinity),
            },
            Progress = new Progress { Epoch = 2, Epochs = 2, Step = 200, Steps = 200, TrainLoss = double.NaN },
        });
    }

    private static MetricPoint Point(string name, int step, double value) =>
        new() { Name = name, Step = step, Epoch = 1 + (step / 101), Value = value };

    private async Task<IPage> OpenAsync(string address)
    {
        var page = await _browser.NewPageAsync();
        page.PageError += (_, fault) => _faults.Add(fault);
        await page.GotoAsync($"{Scheduler.HttpAddress}#token={TestScheduler.ViewerToken}");
        await Assertions.Expect(page.Locator("table.jobs")).ToBeVisibleAsync();
        await page.GotoAsync($"{Scheduler.HttpAddress}{address}");
        return page;
    }

    /// <summary>How many dots of a chart have a curve's colour, or nearly so: a thin line is blended with the ground.</summary>
    private static Task<int> DotsAsync(IPage page, string chart, string colour) =>
        page.EvaluateAsync<int>(DotsScript, new[] { chart, colour });
}
