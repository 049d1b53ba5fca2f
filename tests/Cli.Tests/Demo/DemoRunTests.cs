using Cluster.Cli.Connection;
using Cluster.Cli.Demo;
using Cluster.Cli.Rendering;
using Cluster.Contracts.Access;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Tests.Demo;

/// <summary>The demo against a scheduler whose jobs advance by one stage each time they are looked at.</summary>
public sealed class DemoRunTests : IDisposable
{
    private readonly DirectoryInfo _proc = Directory.CreateTempSubdirectory();
    private readonly List<int> _killed = [];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Demo_WhenAllGoesWell_KillsOneTrainerOnceAndSucceeds(bool isTerminal)
    {
        await using var cluster = await ClusterAsync();
        var (run, error) = (new CliRun(cluster) { IsTerminal = isTerminal }.With("CLUSTER_ROOT", Repository.Root), new StringWriter());

        (await DemoAsync(cluster, run, error)).ShouldBe(ExitCode.Done);

        error.ToString().ShouldBeEmpty();
        _killed.ShouldBe([31]);
        run.Out.ShouldContain(
            "lenet5-killed: rank 1 (process 31) killed with SIGKILL at step 600, 500 steps past the checkpoint of step 100; "
                + "attempt 1 went on at step 101");
        run.Out.ShouldContain(
            "lenet5-data-parallel  00000000  succeeded  89.3 %         88.0 %  1m 10s  8,512     0         worker-1 cpu:0, worker-2 cpu:0");
        run.Out.ShouldContain("dashboard: http://127.0.0.1:7080/");
    }

    [Fact]
    public async Task Demo_WhenAJobMissesItsAccuracy_FailsWithTheReason()
    {
        await using var cluster = await ClusterAsync(accuracy: 0.79);
        var (run, error) = (new CliRun(cluster).With("CLUSTER_ROOT", Repository.Root), new StringWriter());

        (await DemoAsync(cluster, run, error)).ShouldBe(ExitCode.Failed);

        error.ToString().ShouldStartWith(
            "the demo failed: lenet5-data-parallel reached 79.0 % test accuracy and needs 88.0 %; ./cluster job logs shows why\n");
    }

    [Fact]
    public async Task Demo_WhenNoTrainerCouldBeKilled_Fails()
    {
        await using var cluster = await ClusterAsync(trainersAreElsewhere: true);
        var (run, error) = (new CliRun(cluster).With("CLUSTER_ROOT", Repository.Root), new StringWriter());

        (await DemoAsync(cluster, run, error)).ShouldBe(ExitCode.Failed);

        error.ToString()
            .ShouldBe("the demo failed: lenet5-killed ended before one of its trainers could be killed; ./cluster job logs shows why\n");
    }

    [Fact]
    public async Task Demo_WhenAJobNeverEnds_GivesUp()
    {
        await using var cluster = await ClusterAsync();
        cluster.Get = request => new GetJobResponse { Job = Builders.AJob(job => job.Id = request.JobId) };
        var (run, error) = (
            new CliRun(cluster) { Time = new NoonTime(haste: 100) }.With("CLUSTER_ROOT", Repository.Root), new StringWriter());

        var end = await Should.ThrowAsync<CliException>(() => DemoAsync(cluster, run, error));

        end.Message.ShouldBe("the demo's jobs did not end within 20 minutes; ./cluster job list shows where they stand");
    }

    [Theory]
    [InlineData(JobState.Failed, 0.99, 1, true, 101, "lenet5 ended failed")]
    [InlineData(JobState.Succeeded, 0.99, 0, true, 101, "lenet5 lost a trainer and did not restart")]
    [InlineData(JobState.Succeeded, 0.99, 1, false, 101, "lenet5 ended before one of its trainers could be killed")]
    [InlineData(JobState.Succeeded, 0.99, 1, true, 1, "lenet5 began again at step 1 instead of behind its checkpoint of step 100")]
    [InlineData(JobState.Succeeded, 0.5, 1, true, 101, "lenet5 reached 50.0 % test accuracy and needs 80.0 %")]
    [InlineData(JobState.Succeeded, 0.8, 1, true, 101, null)]
    public void Shortfall_SaysWhatIsMissing(JobState state, double accuracy, int restarts, bool wasKilled, int resumedAt, string? shortfall)
    {
        var job = Builders.AFinishedJob(state, accuracy);
        job.Restarts = restarts;

        new DemoJob("x.yaml", 0.8, LosesATrainer: true).Shortfall(job, wasKilled ? new KilledTrainer(1, 0, 1, 100, 200, resumedAt) : null)
            .ShouldBe(shortfall);
    }

    public void Dispose() => _proc.Delete(recursive: true);

    private async Task<int> DemoAsync(FakeCluster cluster, CliRun run, TextWriter error)
    {
        var host = run.Host(error);
        using var connection = ClusterConnection.To(cluster.Address, FakeCluster.Token, ConnectionPings.Patient);
        var output = new Output(host, isJson: false);
        var context = new VerbContext(host, new(connection), output, new System.CommandLine.RootCommand().Parse([]));
        return await new DemoRun(context, new TrainerProcesses(_proc.FullName), Kill).RunAsync(Cancellation);
    }

    private async Task<FakeCluster> ClusterAsync(double accuracy = 0.8931, bool trainersAreElsewhere = false)
    {
        var cluster = await FakeCluster.StartAsync();
        var jobs = new Dictionary<string, (JobSpec Spec, int Looks)>(StringComparer.Ordinal);
        cluster.Submit = request =>
        {
            var id = $"00000000-0000-0000-0000-00000000000{jobs.Count}";
            jobs[id] = (JobFile.Parse(request.Yaml), 0);
            if (jobs[id].Spec.Name == "lenet5-killed" && !trainersAreElsewhere)
                Trainer(id);
            return Builders.AJob(job => (job.Id, job.Spec) = (id, jobs[id].Spec));
        };
        cluster.Get = request =>
        {
            var (spec, looks) = jobs[request.JobId];
            jobs[request.JobId] = (spec, looks + 1);
            // Too near the checkpoint, not yet a quarter of the way, far enough to be killed, then still running, then ended.
            var job = looks < 4
                ? Builders.ARunningJob(step: looks switch { 0 => 105, 1 => 300, _ => 600 })
                : Builders.AFinishedJob(testAccuracy: accuracy);
            (job.Id, job.Spec, job.Restarts) = (request.JobId, spec, _killed.Count > 0 && spec.Name == "lenet5-killed" ? 1 : 0);
            return new GetJobResponse
            {
                Job = job,
                Events =
                {
                    new JobEvent { ToState = JobState.Starting, Attempt = 1, Time = Builders.At(-75) },
                    new JobEvent { ToState = JobState.Starting, Attempt = 2, Time = Builders.At(-50) },
                },
            };
        };
        cluster.Points.Add(new MetricPoint { Step = 1, Time = Builders.At(-70) });
        cluster.Points.Add(new MetricPoint { Step = 103, Time = Builders.At(-40) });
        cluster.Points.Add(new MetricPoint { Step = 101, Time = Builders.At(-41) });
        cluster.Checkpoints = _ =>
            new ListCheckpointsResponse { Checkpoints = { new Checkpoint { Step = 50 }, new Checkpoint { Step = 100 } } };
        return cluster;
    }

    private void Trainer(string jobId) => File.WriteAllText(
        Path.Combine(_proc.CreateSubdirectory("31").FullName, "cmdline"),
        $"/opt/Cluster.Worker\0trainer\0--job\0{jobId}\0--attempt\01\0--rank\01\0");

    private bool Kill(int processId)
    {
        _killed.Add(processId);
        return true;
    }
}
