using Cluster.Contracts.V1;

namespace Cluster.Worker.Training;

/// <summary>How many steps a job takes. Independent of the number of ranks.</summary>
/// <param name="StepsPerEpoch">Whole global batches in the training part.</param>
/// <param name="TotalSteps">All epochs', or the job's limit on steps if that is lower.</param>
public sealed record TrainingPlan(int StepsPerEpoch, long TotalSteps)
{
    /// <exception cref="JobMisconfiguredException">A global batch is larger than the training part.</exception>
    public static TrainingPlan From(Hyperparameters hyperparameters, int trainSamples)
    {
        var stepsPerEpoch = trainSamples / hyperparameters.GlobalBatchSize;
        if (stepsPerEpoch == 0)
        {
            throw new JobMisconfiguredException(
                $"hyperparameters.globalBatchSize is {hyperparameters.GlobalBatchSize} but there are {trainSamples} training samples; "
                    + "lower it or raise data.trainSamples");
        }

        var steps = (long)stepsPerEpoch * hyperparameters.Epochs;
        return new TrainingPlan(stepsPerEpoch, hyperparameters.MaxSteps > 0 ? Math.Min(steps, hyperparameters.MaxSteps) : steps);
    }

    /// <summary>The epoch, from 0, that a step (from 0) belongs to.</summary>
    public int EpochOf(long step) => (int)(step / StepsPerEpoch);

    /// <summary>Epochs that at least one step belongs to.</summary>
    public int Epochs => EpochOf(TotalSteps - 1) + 1;

    /// <summary>Whether an epoch ends when so many steps are done. The run's last step ends its epoch, whole or not.</summary>
    public bool EndsEpoch(long stepsDone) => stepsDone == TotalSteps || stepsDone % StepsPerEpoch == 0;
}
