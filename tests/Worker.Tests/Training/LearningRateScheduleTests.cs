using Cluster.Contracts.V1;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

public sealed class LearningRateScheduleTests
{
    private static readonly TrainingPlan Plan = new(StepsPerEpoch: 2, TotalSteps: 8);

    [Fact]
    public void Constant_IsThePeak() => Rates(new ScheduleSpec { Name = "constant" }).ShouldBe(Enumerable.Repeat(0.8, 8));

    [Fact]
    public void Step_MultipliesByGammaEveryStepEpochs() =>
        Rates(new ScheduleSpec { Name = "step", StepEpochs = 2, Gamma = 0.5 }).ShouldBe([0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4]);

    [Fact]
    public void Cosine_FallsFromThePeakTowardsZero()
    {
        var rates = Rates(new ScheduleSpec { Name = "cosine" });

        for (var step = 0; step < 8; step++)
            rates[step].ShouldBe(0.4 * (1 + Math.Cos(Math.PI * step / 8)), 1e-15);
        rates[4].ShouldBe(0.4, 1e-15);
    }

    [Fact]
    public void Warmup_RisesLinearlyAndThenTheScheduleBegins()
    {
        Rates(new ScheduleSpec { Name = "constant", WarmupEpochs = 2 }).ShouldBe([0.2, 0.4, 0.6 + 1e-16, 0.8, 0.8, 0.8, 0.8, 0.8], 1e-12);
        Rates(new ScheduleSpec { Name = "step", StepEpochs = 1, Gamma = 0.5, WarmupEpochs = 1 })
            .ShouldBe([0.4, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2], 1e-12);
        Rates(new ScheduleSpec { Name = "cosine", WarmupEpochs = 2 })[6].ShouldBe(0.4, 1e-12);
    }

    private static double[] Rates(ScheduleSpec schedule)
    {
        var rates = new LearningRateSchedule(schedule, 0.8, Plan);
        return [.. Enumerable.Range(0, 8).Select(step => rates.At(step, reductions: 0))];
    }
}
