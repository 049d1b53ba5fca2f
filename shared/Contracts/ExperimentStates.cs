using Cluster.Contracts.V1;

namespace Cluster.Contracts;

/// <summary>What an experiment's standing means.</summary>
public static class ExperimentStates
{
    /// <summary>All of its jobs are final, and no more come.</summary>
    public static bool IsOver(this Experiment experiment) =>
        experiment.States.All(count => count.State.IsFinal())
        && experiment.Search is null or { Phase: SearchPhase.Ended or SearchPhase.Cancelled };
}
