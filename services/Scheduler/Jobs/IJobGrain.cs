using System.Collections.Immutable;
using Cluster.Contracts;
using Cluster.Scheduler.Queues;
using Orleans.Concurrency;

namespace Cluster.Scheduler.Jobs;

/// <summary>One job's life, from submission to its final state; the key is the job's id.</summary>
/// <remarks>
/// A method answers after its effect is in Postgres, and runs to its end whatever the caller does: hence no cancellation
/// tokens. Any method may throw <see cref="StaleStateException"/>, after which the caller may try again.
/// </remarks>
[Alias("cluster.IJobGrain")]
public interface IJobGrain : IGrainWithGuidKey
{
    /// <summary>Ends the job from any state. A final job stays as it is.</summary>
    /// <exception cref="JobNotFoundException">No such job.</exception>
    [Alias("Cancel")]
    Task CancelAsync(CancelJob command);

    /// <summary>Puts the job into another queue, or gives it another priority. A final job stays as it is.</summary>
    /// <exception cref="JobNotFoundException">No such job.</exception>
    /// <exception cref="UnknownQueueException">No such queue.</exception>
    [Alias("Update")]
    Task UpdateAsync(UpdateJob command);

    /// <summary>
    /// Puts the job aside: it writes a checkpoint, releases all that it holds and waits for <see cref="ResumeAsync"/>. Costs no restart; a
    /// paused job stays as it is.
    /// </summary>
    /// <returns>False: it is over, or about to be.</returns>
    /// <exception cref="JobNotFoundException">No such job.</exception>
    [Alias("Pause")]
    Task<bool> PauseAsync(PauseJob command);

    /// <summary>Queues a paused job again, with its age. One that is not paused stays as it is.</summary>
    /// <param name="by">Whose token asked for it.</param>
    /// <returns>False: it is over, or about to be.</returns>
    /// <exception cref="JobNotFoundException">No such job.</exception>
    [Alias("Resume")]
    Task<bool> ResumeAsync(string by);

    /// <summary>
    /// An attempt is stored for the job, which its next touch launches. The secret is nowhere else: without this the launch fails.
    /// </summary>
    [Alias("Started")]
    Task StartedAsync(StartedAttempt attempt);

    /// <summary>A rank that does not train yet says that it is on its way there. Ignored for any attempt but the current one.</summary>
    [Alias("RankLives")]
    Task RankLivesAsync(int attempt, int rank);

    /// <summary>A rank's training loop has begun. Ignored for any attempt but the current one.</summary>
    [Alias("RankStarted")]
    [AlwaysInterleave]
    Task RankStartedAsync(int attempt, int rank);

    /// <summary>
    /// A rank's step takes far longer than those before it, which it says again while that lasts; or it goes on. Ignored for any attempt
    /// but the current one.
    /// </summary>
    /// <param name="step">From 1; 0: it goes on.</param>
    /// <param name="operation">The exchange in which it waits for its peers; empty: it is in none.</param>
    [Alias("RankStalls")]
    Task RankStallsAsync(int attempt, int rank, long step, string operation);

    /// <summary>
    /// These ranks are slow for long, which is said again every minute; or none is any more. Ignored for any attempt but the current one.
    /// </summary>
    [Alias("RanksLag")]
    Task RanksLagAsync(int attempt, ImmutableArray<RankLag> slow);

    /// <summary>A trainer was reaped. Idempotent; ignored for any attempt but the current one.</summary>
    [Alias("RankExited")]
    [AlwaysInterleave]
    Task RankExitedAsync(RankExit exit);

    /// <summary>Called by itself: stores all that its ranks have reported while something else was stored.</summary>
    [Alias("NoteReports")]
    Task NoteReportsAsync();

    /// <summary>Does whatever is due: launch, stop, notice lost nodes, conclude an attempt. Called by the reconciler.</summary>
    /// <param name="version">Of the row, if the job's due work was claimed: at least this is known then; 0 if not.</param>
    [Alias("Touch")]
    Task TouchAsync(long version);
}

/// <summary>Carries the attempt's secret and is never logged.</summary>
[GenerateSerializer, Immutable, Alias("cluster.StartedAttempt")]
public sealed record StartedAttempt([property: Id(0)] int Number, [property: Id(1)] string Secret)
{
    /// <summary>Leaves the secret out.</summary>
    public override string ToString() => $"{nameof(StartedAttempt)}({Number})";
}

/// <param name="By">Whose token asked for it.</param>
/// <param name="Reason">In the caller's words; may be empty.</param>
[GenerateSerializer, Immutable, Alias("cluster.CancelJob")]
public sealed record CancelJob([property: Id(0)] string By, [property: Id(1)] string Reason)
{
    /// <summary>For programs; mostly empty.</summary>
    [Id(2)]
    public string Code { get; init; } = "";
}

/// <param name="By">Whose token asked for it.</param>
/// <param name="Reason">In the caller's words; may be empty.</param>
[GenerateSerializer, Immutable, Alias("cluster.PauseJob")]
public sealed record PauseJob([property: Id(0)] string By, [property: Id(1)] string Reason);

/// <param name="Queue">Null: as it is.</param>
/// <param name="Priority">Null: as it is.</param>
[GenerateSerializer, Immutable, Alias("cluster.UpdateJob")]
public sealed record UpdateJob([property: Id(0)] string? Queue, [property: Id(1)] int? Priority);

/// <summary>A rank that is slow for long.</summary>
/// <param name="StepSeconds">What a step takes it without waiting for others.</param>
/// <param name="OthersSeconds">What it takes the others: their median.</param>
[GenerateSerializer, Immutable, Alias("cluster.RankLag")]
public readonly record struct RankLag(
    [property: Id(0)] int Rank, [property: Id(1)] double StepSeconds, [property: Id(2)] double OthersSeconds);

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
    [property: Id(6)] bool Evicted)
{
    /// <summary>The job's failure policies, by their numbers from 1, that were found in what the rank wrote.</summary>
    [Id(7)]
    public ImmutableArray<int> MatchedPolicies { get; init; } = [];
}
