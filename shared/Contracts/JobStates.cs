using Cluster.Contracts.V1;

namespace Cluster.Contracts;

/// <summary>What the states of a job have in common.</summary>
public static class JobStates
{
    /// <summary>No transition leaves a final state.</summary>
    public static bool IsFinal(this JobState state) => state is JobState.Succeeded or JobState.Failed or JobState.Cancelled;

    /// <summary>The job holds devices, or is about to or about to give them back.</summary>
    public static bool HoldsDevices(this JobState state) => state is JobState.Starting or JobState.Running or JobState.Stopping;

    /// <summary>Whether DESIGN's state picture has this arrow.</summary>
    public static bool CanBecome(this JobState from, JobState to) => (from, to) switch
    {
        (JobState.Queued, JobState.Starting or JobState.Paused or JobState.Cancelled or JobState.Failed) => true,
        (JobState.Paused, JobState.Queued or JobState.Succeeded or JobState.Cancelled) => true,
        (JobState.Starting, JobState.Running or JobState.Queued or JobState.Stopping or JobState.Failed or JobState.Cancelled) => true,
        (JobState.Running, JobState.Stopping or JobState.Queued or JobState.Succeeded or JobState.Failed or JobState.Cancelled) => true,
        // A trial that has trained as far as it was to for now.
        (JobState.Running, JobState.Paused) => true,
        (JobState.Stopping, JobState.Queued or JobState.Paused or JobState.Succeeded or JobState.Failed or JobState.Cancelled) => true,
        _ => false,
    };

    /// <summary>"queued", "running", …: the word that people read and type.</summary>
    public static string Word(this JobState state) => state.ToString().ToLowerInvariant();
}
