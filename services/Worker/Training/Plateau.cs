using System.Text.Json.Serialization;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Training;

/// <summary>What the plateau schedule remembers of a run's validation losses; part of its position.</summary>
/// <remarks>
/// PyTorch's ReduceLROnPlateau (mode min, relative threshold, no cooldown): an epoch is better if its loss is below best·(1 − threshold);
/// after more than <c>patienceEpochs</c> in a row that are not, the rate falls once and the count begins anew.
/// </remarks>
/// <param name="BestLoss">Infinite before the first validation.</param>
/// <param name="EpochsWithoutBetter">Since the best, or since the last reduction.</param>
/// <param name="Reductions">How often the learning rate has been multiplied by gamma.</param>
[JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
public sealed record Plateau(double BestLoss, int EpochsWithoutBetter, int Reductions)
{
    public static Plateau Start { get; } = new(double.PositiveInfinity, 0, 0);

    /// <summary>After one more epoch.</summary>
    public Plateau After(double validationLoss, ScheduleSpec schedule)
    {
        if (validationLoss < BestLoss * (1 - schedule.Threshold))
            return this with { BestLoss = validationLoss, EpochsWithoutBetter = 0 };
        return EpochsWithoutBetter < schedule.PatienceEpochs
            ? this with { EpochsWithoutBetter = EpochsWithoutBetter + 1 }
            : this with { EpochsWithoutBetter = 0, Reductions = Reductions + 1 };
    }
}
