using Cluster.Contracts.V1;

namespace Cluster.Worker.Training;

/// <summary>The learning rate of each step: a linear warm-up, then the schedule proper.</summary>
public sealed class LearningRateSchedule
{
    private readonly double _peak;
    private readonly long _warmupSteps;
    private readonly Func<long, int, double> _factor;

    /// <exception cref="JobMisconfiguredException">Unknown schedule, or a warm-up that leaves nothing.</exception>
    public LearningRateSchedule(ScheduleSpec schedule, double peak, TrainingPlan plan)
    {
        _peak = peak;
        _warmupSteps = (long)schedule.WarmupEpochs * plan.StepsPerEpoch;
        var steps = plan.TotalSteps - _warmupSteps;
        if (steps <= 0 && _warmupSteps > 0)
            throw new JobMisconfiguredException(
                $"hyperparameters.schedule.warmupEpochs is {schedule.WarmupEpochs} but the run has {plan.Epochs} epochs; lower it");
        _factor = schedule.Name switch
        {
            "constant" => (_, _) => 1,
            "step" => (step, _) => Math.Pow(schedule.Gamma, step / ((long)schedule.StepEpochs * plan.StepsPerEpoch)),
            "cosine" => (step, _) => 0.5 * (1 + Math.Cos(Math.PI * step / steps)),
            "plateau" => (_, reductions) => Math.Pow(schedule.Gamma, reductions),
            _ => throw new JobMisconfiguredException(
                $"hyperparameters.schedule.name is {schedule.Name}; choose constant, step, cosine or plateau"),
        };
    }

    /// <summary>
    /// For step <paramref name="step"/>, from 0. The warm-up's first step takes 1/n of the peak (zero would waste it), its last the whole.
    /// </summary>
    /// <param name="step">The step.</param>
    /// <param name="reductions">Of the plateau schedule, so far.</param>
    public double At(long step, int reductions) => step < _warmupSteps
        ? _peak * (step + 1) / _warmupSteps
        : _peak * _factor(step - _warmupSteps, reductions);
}
