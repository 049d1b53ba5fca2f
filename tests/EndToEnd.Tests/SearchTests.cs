using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.EndToEnd.Tests.Faults;

namespace Cluster.EndToEnd.Tests;

/// <summary>A search over real trainings.</summary>
public sealed class SearchTests(LocalCluster cluster)
{
    private const int Divisor = 2;

    // A hang must not hold up everything behind it; a trial takes some seconds on a busy machine.
    private static readonly TimeSpan LongestOfATrial = TimeSpan.FromMinutes(2);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public Task Asha_WhoseSchedulerIsKilled_LosesAndRepeatsNoTrial() => RunAsync(trials: 4, epochs: 2, kills: [1]);

    [Fact]
    [Trait("Round", "full")]
    public Task Asha_OfSixteenTrialsOnTwoDevices_WhoseSchedulerIsKilledTwice_LosesAndRepeatsNoTrial() =>
        RunAsync(trials: 16, epochs: 4, kills: [3, 10]);

    /// <param name="trials">In all.</param>
    /// <param name="epochs">Of those that train to the end.</param>
    /// <param name="kills">Trials that have validated, when the scheduler is killed.</param>
    private async Task RunAsync(int trials, int epochs, int[] kills)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(LongestOfATrial * trials);
        var yaml = $$"""
            name: search-{{trials}}
            model: {name: lenet5, options: {activation: {type: categorical, vals: [relu, tanh]} } }
            data: {name: fashion-mnist, trainSamples: 512, validationSamples: 128}
            searcher: {name: asha, maxTrials: {{trials}}, maxConcurrent: 2, maxRungs: 5, divisor: {{Divisor}}, seed: 3}
            hyperparameters:
              epochs: {{epochs}}
              globalBatchSize: 64
              optimizer: {name: adam, learningRate: {type: log, minval: -4, maxval: -2.5} }
            """;
        var request = new SubmitExperimentRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml };
        var id = (await cluster.Experiments.SubmitExperimentAsync(request, cancellationToken: limit.Token)).Experiment.Id;

        foreach (var validated in kills)
        {
            while ((await GetAsync(id, limit.Token)).Experiment.Search.Rungs[0].Trials < validated)
                await Task.Delay(TimeSpan.FromMilliseconds(100), limit.Token);
            await Processes.KillAsync(cluster.ProcessId("scheduler"), limit.Token);
            await cluster.UpAsync(limit.Token);
        }

        (await cluster.RunAsync(["experiment", "watch", id], limit.Token)).MustSucceed();

        var (experiment, jobs) = await GetAsync(id, limit.Token);
        experiment.Search.Phase.ShouldBe(SearchPhase.Ended);
        jobs.Select(job => int.Parse(job.Variant[..job.Variant.IndexOf(' ')])).ShouldBe(Enumerable.Range(0, trials));
        jobs.ShouldAllBe(job => job.State == JobState.Succeeded);
        // Of what has come to a length, one in so many goes on at least; and no trial is measured twice at one.
        var measured = (await cluster.QueryAsync(
            $"""
            select epoch, count(*), count(distinct m.job_id) from metrics m join jobs j on j.id = m.job_id
            where j.experiment_id = '{id}' and m.name = 'validation/accuracy' and m.epoch & (m.epoch - 1) = 0 group by epoch order by epoch
            """, limit.Token)).Select(row => row.Split('|').Select(int.Parse).ToArray()).ToList();
        measured[0].ShouldBe([1, trials, trials]);
        foreach (var (shorter, longer) in measured.Zip(measured.Skip(1)))
        {
            longer[1].ShouldBe(longer[2]);
            longer[1].ShouldBeInRange(shorter[1] / Divisor, shorter[1]);
        }

        measured[^1][0].ShouldBe(epochs);
        await Invariants.HoldAsync(cluster, "after a search whose scheduler was killed", limit.Token);

        var weights = Path.Combine(cluster.State, $"best-{trials}.safetensors");
        (await cluster.RunAsync(["experiment", "best", id, "-o", weights], limit.Token)).MustSucceed();
        new FileInfo(weights).Length.ShouldBeGreaterThan(100_000, "LeNet-5 has 61,706 parameters of 4 bytes");
    }

    private async Task<(Experiment Experiment, IReadOnlyList<Job> Jobs)> GetAsync(string id, CancellationToken cancellationToken)
    {
        // Also while a scheduler that was just started finds its feet.
        var found = await PatientClient.AskAsync(
            async options => await cluster.Experiments.GetExperimentAsync(new GetExperimentRequest { ExperimentId = id }, options),
            cancellationToken);
        return (found.Experiment, found.Jobs);
    }
}
