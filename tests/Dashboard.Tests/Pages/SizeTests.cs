using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Tests.Fixtures;
using static Microsoft.Playwright.Assertions;

namespace Cluster.Dashboard.Tests.Pages;

/// <summary>However much there is, a page's data is less than a megabyte, and its first rows are there.</summary>
[Collection(typeof(Visitors))]
public sealed class SizeTests(Visitor visitor) : IAsyncDisposable
{
    private const long Megabyte = 1 << 20;

    public ValueTask DisposeAsync() => visitor.LeaveAsync();

    [Fact]
    public async Task ExperimentOfTwoThousandTrials()
    {
        var experiment = new Experiment { Id = $"{Guid.NewGuid():D}", Name = "large", Owner = "alice", CreatedAt = Some.At(0) };
        experiment.States.Add(new JobStateCount { State = JobState.Succeeded, Jobs = 2_000 });
        visitor.Scheduler.Experiments[experiment.Id] = experiment;
        foreach (var trial in Enumerable.Range(0, 2_000))
            visitor.Scheduler.Jobs.TryAdd($"{trial:x8}-0000-4000-8000-{trial:x12}", Some.Job("large", JobState.Succeeded, change: job =>
            {
                (job.Id, job.ExperimentId, job.Variant) = ($"{trial:x8}-0000-4000-8000-{trial:x12}", experiment.Id, $"trial-{trial:0000}");
                job.Spec.Hyperparameters.Optimizer.LearningRate = 0.0001 * (1 + trial);
                job.Progress.ValidationAccuracy = 0.5 + (trial / 10_000.0);
            }));

        var (page, received) = await visitor.OpenCountedAsync($"/experiments/{experiment.Id}", FakeScheduler.OtherToken);

        await Expect(page.Locator("table.variants tbody tr")).ToHaveCountAsync(200);
        await Expect(page.Locator(".parallel polyline")).ToHaveCountAsync(500);
        await Expect(page.Locator(".parallel")).ToContainTextAsync("The best 500 of 2,000");
        received().ShouldBeLessThan(Megabyte);
        visitor.Scheduler.Experiments.TryRemove(experiment.Id, out _);
        foreach (var job in visitor.Scheduler.Jobs.Values.Where(job => job.ExperimentId == experiment.Id).ToList())
            visitor.Scheduler.Jobs.TryRemove(job.Id, out _);
    }

    [Fact]
    public async Task RunOfAHundredThousandPointsASeries()
    {
        var job = visitor.Scheduler.Put(Some.Job("long-run", JobState.Succeeded));
        string[] series = [MetricNames.TrainLoss, MetricNames.TrainAccuracy, .. MetricNames.StepParts];
        visitor.Scheduler.Points[job.Id] =
            [.. series.SelectMany(name => Enumerable.Range(1, 100_000).Select(step => Some.Point(name, step, 1.0 / step)))];

        var (page, received) = await visitor.OpenCountedAsync($"/jobs/{job.Id}", FakeScheduler.OtherToken);
        await page.ExpectDotsAsync("[data-chart=loss]", Looking.FirstColour, 100);
        await page.ExpectDotsAsync("[data-chart='step time in s']", Looking.FirstColour, 10);
        received().ShouldBeLessThan(Megabyte);

        var (compared, alsoReceived) = await visitor.OpenCountedAsync(
            $"/compare?jobs={job.Id[..8]}&part=train&by=step", FakeScheduler.OtherToken);
        await compared.ExpectDotsAsync(".chart", Looking.FirstColour, 100);
        alsoReceived().ShouldBeLessThan(Megabyte);
        visitor.Scheduler.Points.TryRemove(job.Id, out _);
        visitor.Scheduler.Jobs.TryRemove(job.Id, out _);
    }
}
