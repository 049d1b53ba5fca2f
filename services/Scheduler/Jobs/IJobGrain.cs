using Cluster.Contracts;
using Cluster.Scheduler.Capacity;
using Cluster.Scheduler.Checkpoints;

namespace Cluster.Scheduler.Jobs;

/// <summary>One job's life, from submission to its final state; the key is the job's id.</summary>
/// <remarks>
/// A method answers after its effect is in Postgres, and runs to its end whatever the caller does: hence no cancellation
/// tokens. Any method may throw <see cref="StaleStateException"/>, after which the caller may try again.
/// </remarks>
[Alias("cluster.IJobGrain")]
public interface IJobGrain : IGrainWithGuidKey
{
    /// <summary>Stores and queues the job; does nothing if that was done before.</summary>
    /// <returns>False when the job was there already.</returns>
    /// <exception cref="InfeasibleJobException">The registered cluster can never run it, and it is not to wait for capacity.</exception>
    /// <exception cref="InitialCheckpointException">The weights that it is to begin with cannot be found, or are another
    /// model's.</exception>
    [Alias("Submit")]
    Task<bool> SubmitAsync(SubmitJob command);

    /// <summary>Ends the job from any state. A final job stays as it is.</summary>
    /// <exception cref="JobNotFoundException">No such job.</exception>
    [Alias("Cancel")]
    Task CancelAsync(CancelJob command);

    /// <summary>Opens the next attempt on the devices given, if the job still waits and the devices are still free.</summary>
    /// <returns>False when it does not start; the next placement cycle sees why.</returns>
    [Alias("Start")]
    Task<bool> StartAsync(StartAttempt command);

    /// <summary>A rank that does not train yet says that it is on its way there. Ignored for any attempt but the current one.</summary>
    [Alias("RankLives")]
    Task RankLivesAsync(int attempt, int rank);

    /// <summary>A rank's training loop has begun. Ignored for any attempt but the current one.</summary>
    [Alias("RankStarted")]
    Task RankStartedAsync(int attempt, int rank);

    /// <summary>A trainer was reaped. Idempotent; ignored for any attempt but the current one.</summary>
    [Alias("RankExited")]
    Task RankExitedAsync(RankExit exit);

    /// <summary>Does whatever is due: launch, stop, notice lost nodes, conclude an attempt. Called by the reconciler.</summary>
    [Alias("Touch")]
    Task TouchAsync();
}

/// <param name="RequestId">Made by the client for this job; the job's id follows from it, see <see cref="JobIds"/>.</param>
/// <param name="SpecJson">The spec in protobuf's JSON form, every default filled in.</param>
/// <param name="TraceParent">W3C trace context of the submission, or empty.</param>
/// <param name="TraceState">Belongs to <paramref name="TraceParent"/>.</param>
/// <param name="WaitForCapacity">Queue it even if the cluster as registered can never run it.</param>
/// <param name="MemoryJson">What a rank is expected to take, in protobuf's JSON form; empty where no node could be asked.</param>
[GenerateSerializer, Immutable, Alias("cluster.SubmitJob")]
public sealed record SubmitJob(
    [property: Id(0)] string RequestId,
    [property: Id(1)] string Owner,
    [property: Id(2)] string SpecJson,
    [property: Id(3)] string TraceParent,
    [property: Id(4)] string TraceState,
    [property: Id(5)] bool WaitForCapacity,
    [property: Id(6)] string MemoryJson);

/// <param name="By">Whose token asked for it.</param>
/// <param name="Reason">In the caller's words; may be empty.</param>
[GenerateSerializer, Immutable, Alias("cluster.CancelJob")]
public sealed record CancelJob([property: Id(0)] string By, [property: Id(1)] string Reason);

/// <summary>What the agent learned when it reaped a trainer.</summary>
/// <param name="Signal">The signal that ended it, or 0.</param>
/// <param name="Message">The trainer's own last word, or empty.</param>
/// <param name="Evicted">Its agent was shutting down, and ended it or was about to.</param>
[GenerateSerializer, Immutable, Alias("cluster.RankExit")]
public sealed record RankExit(
    [property: Id(0)] NodeId Node,
    [property: Id(1)] int Attempt,
    [property: Id(2)] int Rank,
    [property: Id(3)] int ExitCode,
    [property: Id(4)] int Signal,
    [property: Id(5)] string Message,
    [property: Id(6)] bool Evicted);
