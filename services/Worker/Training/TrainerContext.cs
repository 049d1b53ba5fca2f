using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Training;

/// <summary>What a rank trains with: its orders, and the ways back to its agent and the scheduler.</summary>
public sealed class TrainerContext : IAsyncDisposable
{
    /// <param name="launch">The agent's order.</param>
    /// <param name="link">The way to agent and scheduler.</param>
    /// <param name="stop">Where the agent's wish to stop arrives.</param>
    /// <param name="loggerFactory">Writes to the process's output, which the agent ships.</param>
    /// <param name="timeProvider">The clock of reports.</param>
    public TrainerContext(
        TrainerLaunch launch, ITrainerLink link, TrainerStop stop, ILoggerFactory loggerFactory, TimeProvider timeProvider)
    {
        Launch = launch;
        Link = link;
        Stop = stop;
        LoggerFactory = loggerFactory;
        TimeProvider = timeProvider;
        JobId = JobId.Parse(launch.JobId);
        Reporter = new TrainerReporter(link, timeProvider);
        CheckpointWriter = new CheckpointWriter(link, loggerFactory.CreateLogger<CheckpointWriter>());
    }

    public TrainerLaunch Launch { get; }

    public JobId JobId { get; }

    public ITrainerLink Link { get; }

    public TrainerStop Stop { get; }

    public TrainerReporter Reporter { get; }

    /// <summary>What this rank exchanges with its peers at the moment.</summary>
    public OperationBoard Operations { get; } = new();

    /// <summary>Writes checkpoints behind the training's back. See there for when faults surface.</summary>
    public CheckpointWriter CheckpointWriter { get; }

    public ILoggerFactory LoggerFactory { get; }

    public TimeProvider TimeProvider { get; }

    /// <summary>The checkpoint to go on from, or null at a first start.</summary>
    public async Task<CheckpointReader?> OpenResumeCheckpointAsync(CancellationToken cancellationToken) =>
        Launch.ResumeCheckpointId.Length == 0 ? null : await CheckpointReader.OpenAsync(Link, Launch.ResumeCheckpointId, cancellationToken);

    /// <summary>Waits for what is still being written or reported. Faults of a write are thrown here at the latest.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CheckpointWriter.DisposeAsync();
        }
        finally
        {
            await Reporter.DisposeAsync();
        }
    }
}
