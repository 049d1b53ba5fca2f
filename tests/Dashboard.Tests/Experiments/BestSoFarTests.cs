using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Experiments;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Experiments;

public sealed class BestSoFarTests
{
    [Fact]
    public void Best_IsAgainstTheEpochsOfAllTrialsUntilThen_WhateverTheirOrderInTheList()
    {
        var trials = new[] { Trial(at: 30, epochs: 4, 0.7), Trial(at: 10, epochs: 1, 0.5), Trial(at: 20, epochs: 2, 0.4) };
        trials[0].State = JobState.Failed;

        var best = BestSoFar.Of([.. trials, Some.Job("running")], MetricNames.ValidationAccuracy, isSmallerBetter: false);

        best.X.ShouldBe([1, 3, 7]);
        best.Y.ShouldBe([0.5, 0.5, 0.7]);
        BestSoFar.Of(trials, MetricNames.ValidationAccuracy, isSmallerBetter: true).Y.ShouldBe([0.5, 0.4, 0.4]);
    }

    [Fact]
    public void Metric_IsThatOfTheSearch_AndMayBeMissing()
    {
        var job = Some.Job("a", change: job => job.Progress.ValidationLoss = 2);

        BestSoFar.MetricOf(MetricNames.ValidationLoss, job).ShouldBe(2);
        BestSoFar.MetricOf(MetricNames.ValidationAccuracy, job).ShouldBe(0.75);
        BestSoFar.MetricOf(MetricNames.ValidationLoss, Some.Job("b", JobState.Queued)).ShouldBeNull();
    }

    private static Job Trial(int at, int epochs, double accuracy) => Some.Job(
        "trial", JobState.Succeeded, at, job => (job.Progress.Epoch, job.Progress.ValidationAccuracy) = (epochs, accuracy));
}
