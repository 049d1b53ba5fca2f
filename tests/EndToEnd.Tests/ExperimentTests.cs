using Cluster.Contracts.V1;
using Microsoft.Playwright;

namespace Cluster.EndToEnd.Tests;

/// <summary>An experiment from its file to its page.</summary>
public sealed class ExperimentTests(LocalCluster cluster)
{
    private const string Yaml = """
        name: compared-activations
        model: {name: lenet5, options: {init: he}}
        data: {name: fashion-mnist, trainSamples: 2048, validationSamples: 512}
        hyperparameters: {epochs: 3, globalBatchSize: 64, optimizer: {name: adam, learningRate: 0.002}}
        resources: {devices: 1}
        matrix:
          model.options.activation: [relu, tanh]
        """;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Page_LaysTheCurvesOfAllJobsOverEachOther_Live()
    {
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await Chromium.LaunchAsync(playwright);
        var page = await browser.NewPageAsync();
        var faults = new List<string>();
        page.PageError += (_, fault) => faults.Add(fault);

        await page.SignInAsync(cluster.HttpAddress, cluster.Token);
        await page.GotoAsync($"{cluster.HttpAddress}/experiments");
        await Assertions.Expect(page.Locator(".experiments")).ToBeVisibleAsync();
        var submitted = await cluster.Experiments.SubmitExperimentAsync(
            new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = Yaml }, cancellationToken: Cancelled);
        // What a rank takes is asked of a worker, since two are up.
        foreach (var job in submitted.Jobs)
        {
            (await cluster.WaitAsync(job.Id, known => known.Memory is not null, Cancelled)).Memory.Total
                .ShouldBeInRange(150 << 20, 1 << 30);
        }

        // The page was open before the experiment was submitted: the row arrives by itself.
        await page.Locator(".experiments").GetByRole(AriaRole.Link, new() { NameString = "compared-activations" }).ClickAsync();

        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { NameString = "compared-activations" })).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".variants tbody tr")).ToHaveCountAsync(2);
        await Assertions.Expect(page.Locator(".chart canvas")).ToBeVisibleAsync();
        await Assertions.Expect(page.Locator(".variants .state")).ToHaveTextAsync(["succeeded", "succeeded"]);
        await page.Locator("select[name=quantity]").SelectOptionAsync("accuracy");
        await page.Locator(".chart .u-over").HoverAsync();
        var legend = page.Locator(".chart .u-legend");
        await Assertions.Expect(legend).ToContainTextAsync("activation=relu");
        await Assertions.Expect(legend).ToContainTextAsync("activation=tanh");
        // The middle of three epochs lies under the pointer: both curves have a value there.
        await Assertions.Expect(legend.Locator(".u-value").Nth(1)).ToContainTextAsync("0.");
        await Assertions.Expect(legend.Locator(".u-value").Nth(2)).ToContainTextAsync("0.");
        await page.ScreenshotAsync(
            new() { Path = Path.Combine(Shell.Root, "artifacts", "test-results", "dashboard-experiment.png"), FullPage = true });
        faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task CommandLine_TakesAModelApartOnAWorker()
    {
        var described = await cluster.RunAsync(["models", "describe", "lenet5", "--batch", "2"], Cancelled);

        described.MustSucceed();
        described.Output.ShouldContain("memory      ");
        described.Output.ShouldContain("conv2");
    }
}
