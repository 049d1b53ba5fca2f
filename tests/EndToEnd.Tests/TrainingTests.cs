using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests;

/// <summary>Jobs on real parts: the scheduler, two agents and their trainers, as processes.</summary>
public sealed class TrainingTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task DataParallelJob_OverTwoNodes_TrainsAndRemembersItsRun()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("data-parallel"), Cancelled);

        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        done.Placement.Select(place => place.NodeName).Distinct().Count().ShouldBe(2);
        // Ten classes: chance is 0.1. 4,096 images and two epochs are enough to be far from it.
        done.Progress.TestAccuracy.ShouldBeGreaterThan(0.5);
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.Select(point => point.Step).ShouldBe(Enumerable.Range(1, (int)done.Progress.Steps).Select(step => (long)step));
        var run = (await cluster.Runs.GetRunAsync(new GetRunRequest { JobId = job.Id }, cancellationToken: Cancelled)).Run;
        run.Environment.WorldSize.ShouldBe(2);
        run.Environment.ParameterCount.ShouldBe(61_706);
        run.Hyperparameters.Optimizer.LearningRate.ShouldBe(0.002);
        (await cluster.Runs.ListCheckpointsAsync(new ListCheckpointsRequest { JobId = job.Id }, cancellationToken: Cancelled))
            .Checkpoints.ShouldNotBeEmpty();
    }

    /// <summary>What a step leaves behind, such as a gradient that a hook keeps, would show over thousands of steps.</summary>
    [Fact]
    [Trait("Round", "full")]
    public async Task DataParallelJob_OfADeepNet_StaysWithinAFifthOfItsEstimate_OverThousandsOfSteps()
    {
        const int epochs = 40;
        var job = await cluster.SubmitAsync(JobFiles.ResNet("memory", epochs), Cancelled);
        // One wait has its limit.
        for (var epoch = 5; epoch < epochs; epoch += 5)
            await cluster.WaitAsync(job.Id, watched => watched.Progress?.Step >= 50 * epoch, Cancelled);

        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        done.Progress.Steps.ShouldBe(50 * epochs);
        var peaks = (await cluster.SeriesAsync(job.Id, MetricNames.MemoryPeakBytes, Cancelled)).Select(point => point.Value).ToList();
        peaks.Count.ShouldBe(epochs); // each the largest of the ranks since they began
        TestContext.Current.TestOutputHelper
            ?.WriteLine($"estimated {done.Memory.Total >> 20} MiB, peaks {string.Join(", ", peaks.Select(peak => (long)peak >> 20))} MiB");
        (peaks[^1] / done.Memory.Total).ShouldBeInRange(0.5, 1.2);
        peaks[^1].ShouldBeLessThan(1.1 * peaks[epochs / 4]); // the first comes before the first checkpoint
    }

    [Fact]
    public async Task ModelParallelJob_TrainsAlexNetInTwoTowers()
    {
        var job = await cluster.SubmitAsync(JobFiles.AlexNetTowers("two-towers"), Cancelled);

        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        done.Placement.Count.ShouldBe(2);
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.TakeLast(5).Average(point => point.Value).ShouldBeLessThan(losses.Take(5).Average(point => point.Value));
    }

    [Fact]
    public async Task PipelineJob_OverTwoNodes_TrainsVggInTwoStages()
    {
        var job = await cluster.SubmitAsync(JobFiles.VggStages("two-stages"), Cancelled);

        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);

        done.Placement.Select(place => place.NodeName).Distinct().Count().ShouldBe(2);
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.TakeLast(5).Average(point => point.Value).ShouldBeLessThan(losses.Take(5).Average(point => point.Value));
        var run = (await cluster.Runs.GetRunAsync(new GetRunRequest { JobId = job.Id }, cancellationToken: Cancelled)).Run;
        run.Environment.ParameterCount.ShouldBe(113_018); // both stages
        (await cluster.Runs.ListCheckpointsAsync(new ListCheckpointsRequest { JobId = job.Id }, cancellationToken: Cancelled))
            .Checkpoints.ShouldNotBeEmpty();
    }

    [Fact]
    public async Task KilledTrainer_RestartsFromItsCheckpoint_WithBitIdenticalLosses()
    {
        var undisturbed = await cluster.SubmitAsync(Job("undisturbed"), Cancelled);
        await cluster.WaitForSuccessAsync(undisturbed.Id, Cancelled);

        var killed = await cluster.SubmitAsync(Job("killed"), Cancelled);
        await cluster.WaitAsync(killed.Id, job => job.Progress?.Step > 70, Cancelled);
        Processes.Signal(Processes.TrainersOf(killed.Id)[0], Processes.Kill);
        var done = await cluster.WaitForSuccessAsync(killed.Id, Cancelled);

        done.Restarts.ShouldBe(1);
        done.Attempt.ShouldBe(2);
        (await cluster.EventsAsync(killed.Id, Cancelled))
            .ShouldContain(change => change.FromState == JobState.Running && change.ToState == JobState.Queued);
        foreach (var name in new[] { MetricNames.TrainLoss, MetricNames.ValidationLoss, MetricNames.TestAccuracy })
        {
            (await cluster.SeriesAsync(killed.Id, name, Cancelled)).ShouldBe(await cluster.SeriesAsync(undisturbed.Id, name, Cancelled));
        }

        // Two jobs that measure might not find the same layout.
        static string Job(string name) => JobFiles.LeNet(name, epochs: 10, everySteps: 20, memoryFormat: MemoryFormats.Contiguous);
    }

    [Fact]
    public async Task SchedulerKilledInMidRun_LosesNothingAndTheRunGoesOn()
    {
        // Far longer than a scheduler takes to start.
        var job = await cluster.SubmitAsync(JobFiles.LeNet("orphaned", epochs: 30), Cancelled);
        await cluster.WaitAsync(job.Id, watched => watched.Progress?.Step > 20, Cancelled);
        var trainers = Processes.TrainersOf(job.Id);

        await Processes.KillAsync(cluster.ProcessId("scheduler"), Cancelled);
        (await cluster.RunAsync(["up"], Cancelled)).MustSucceed();

        var after = (await cluster.Jobs.GetJobAsync(new GetJobRequest { JobId = job.Id }, cancellationToken: Cancelled)).Job;
        after.State.ShouldBe(JobState.Running);
        Processes.TrainersOf(job.Id).ShouldBe(trainers, ignoreOrder: true);
        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        done.Attempt.ShouldBe(1);
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.Select(point => point.Step).ShouldBe(Enumerable.Range(1, (int)done.Progress.Steps).Select(step => (long)step));
    }

    [Fact]
    public async Task KilledAgent_TakesItsTrainersAlong_AndTheJobRunsOnceTheNodeIsBack()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("lost-node", epochs: 14, everySteps: 20), Cancelled);
        await cluster.WaitAsync(job.Id, watched => watched.Progress?.Step > 30, Cancelled);

        await Processes.KillAsync(cluster.ProcessId("worker-2"), Cancelled);
        await cluster.WaitAsync(job.Id, watched => watched.State == JobState.Queued, Cancelled);
        Processes.TrainersOf(job.Id).ShouldBeEmpty();
        (await cluster.RunAsync(["up"], Cancelled)).MustSucceed();

        (await cluster.WaitForSuccessAsync(job.Id, Cancelled)).Restarts.ShouldBe(1);
    }

    [Fact]
    public async Task DrainedNode_GivesItsJobBackAtACheckpoint_WhichGoesOnWithoutARestartWhenTheNodeIsResumed()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("drained", epochs: 14), Cancelled);
        await cluster.WaitAsync(job.Id, watched => watched.Progress?.Step > 30, Cancelled);

        (await cluster.RunAsync(["node", "drain", "worker-2", "--reason", "new fans", "--grace", "300"], Cancelled)).MustSucceed();
        var waiting = await cluster.WaitAsync(
            job.Id, watched => watched.Reason.Contains("on a drained node (worker-2)", StringComparison.Ordinal), Cancelled);
        (await cluster.RunAsync(["node", "list"], Cancelled)).MustSucceed().Output.ShouldContain("drained");
        (await cluster.RunAsync(["node", "resume", "worker-2"], Cancelled)).MustSucceed();

        waiting.State.ShouldBe(JobState.Queued);
        var done = await cluster.WaitForSuccessAsync(job.Id, Cancelled);
        (done.Attempt, done.Restarts).ShouldBe((2, 0));
        (await cluster.EventsAsync(job.Id, Cancelled)).ShouldContain(
            change => change.Attempt == 2 && change.Reason.Contains("from the checkpoint at step", StringComparison.Ordinal));
        var losses = await cluster.SeriesAsync(job.Id, MetricNames.TrainLoss, Cancelled);
        losses.Select(point => point.Step).ShouldBe(Enumerable.Range(1, (int)done.Progress.Steps).Select(step => (long)step));
    }

    [Fact]
    public async Task CancelledJob_EndsItsTrainersAndFreesItsDevices()
    {
        var job = await cluster.SubmitAsync(JobFiles.LeNet("cancelled", epochs: 100), Cancelled);
        await cluster.WaitAsync(job.Id, watched => watched.Progress?.Step > 5, Cancelled);

        await cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = job.Id, Reason = "not needed" }, cancellationToken: Cancelled);
        var done = await cluster.WaitAsync(job.Id, watched => watched.State == JobState.Cancelled, Cancelled);

        done.Reason.ShouldContain("not needed");
        Processes.TrainersOf(job.Id).ShouldBeEmpty();
        var nodes = (await cluster.Nodes.ListNodesAsync(new ListNodesRequest(), cancellationToken: Cancelled)).Nodes;
        nodes.SelectMany(node => node.Devices).ShouldAllBe(device => device.JobId == "");
    }
}
