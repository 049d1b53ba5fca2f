using Cluster.Contracts.V1;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

public sealed class TrainingPlanTests
{
    [Fact]
    public void From_CountsWholeBatches()
    {
        var plan = TrainingPlan.From(new Hyperparameters { Epochs = 3, GlobalBatchSize = 10 }, trainSamples: 47);

        plan.StepsPerEpoch.ShouldBe(4);
        plan.TotalSteps.ShouldBe(12);
        plan.Epochs.ShouldBe(3);
        Enumerable.Range(0, 12).Select(step => plan.EpochOf(step)).ShouldBe([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    }

    [Theory]
    [InlineData(6, 6, 2)]
    [InlineData(8, 8, 2)]
    [InlineData(100, 12, 3)]
    public void From_WithALimitOnSteps_StopsThere(long maxSteps, long totalSteps, int epochs)
    {
        var plan = TrainingPlan.From(new Hyperparameters { Epochs = 3, GlobalBatchSize = 10, MaxSteps = maxSteps }, trainSamples: 47);

        plan.TotalSteps.ShouldBe(totalSteps);
        plan.Epochs.ShouldBe(epochs);
        plan.EndsEpoch(4).ShouldBeTrue();
        plan.EndsEpoch(5).ShouldBeFalse();
        plan.EndsEpoch(totalSteps).ShouldBeTrue();
    }

    [Fact]
    public void From_BatchLargerThanThePart_NamesBoth() =>
        Should.Throw<JobMisconfiguredException>(
            () => TrainingPlan.From(new Hyperparameters { Epochs = 1, GlobalBatchSize = 48 }, trainSamples: 47))
            .Message.ShouldBe(
                "hyperparameters.globalBatchSize is 48 but there are 47 training samples; lower it or raise data.trainSamples");
}
