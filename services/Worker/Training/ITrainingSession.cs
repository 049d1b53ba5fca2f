using Cluster.Contracts;

namespace Cluster.Worker.Training;

/// <summary>One rank's whole training, from the launch to its end.</summary>
public interface ITrainingSession
{
    /// <summary>Trains. Runs on a thread of its own, which it may block: libtorch does.</summary>
    /// <param name="context">What the agent started this rank with, and the way back to it.</param>
    /// <param name="cancellationToken">
    /// The process must end now: the agent is gone or the attempt is stale. Nothing written from here on would count.
    /// A stop with time for a checkpoint is <see cref="TrainerContext.Stop"/>, not this.
    /// </param>
    /// <returns>How it ended. A thrown exception is a failure, and calls for a restart.</returns>
    TrainerOutcome Run(TrainerContext context, CancellationToken cancellationToken);
}

/// <summary>The end of a rank's training.</summary>
/// <param name="ExitCode">One of <see cref="TrainerExit"/>.</param>
/// <param name="Message">The last word on why, for people; empty when all is done.</param>
public sealed record TrainerOutcome(int ExitCode, string Message = "")
{
    public static TrainerOutcome Done { get; } = new(TrainerExit.Done);

    public static TrainerOutcome Stopped(string reason) => new(TrainerExit.Stopped, reason);

    /// <param name="message">Names field, value and remedy.</param>
    public static TrainerOutcome Misconfigured(string message) => new(TrainerExit.Misconfigured, message);

    /// <param name="message">What was asked for.</param>
    public static TrainerOutcome OutOfMemory(string message) => new(
        TrainerExit.OutOfMemory,
        $"{message}; lower hyperparameters.globalBatchSize or the model's size, use hyperparameters.precision bfloat16, "
            + "or split the job over more devices");
}
