using System.Diagnostics;
using Cluster.Worker.Training;

namespace Cluster.Worker.Checkpoints;

/// <summary>Stores snapshots while training goes on: at most one at a time.</summary>
/// <remarks>
/// A fault of a write is thrown by the next <see cref="BeginAsync"/>, by <see cref="FlushAsync"/> or on disposal, whichever comes first.
/// For one thread: calls must not overlap.
/// </remarks>
public sealed partial class CheckpointWriter(ITrainerLink link, ILogger<CheckpointWriter> logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _abandoned = new();
    private Task _writing = Task.CompletedTask;

    /// <summary>The newest checkpoint that can be seen, or null.</summary>
    public string? LastCheckpointId { get; private set; }

    /// <summary>Waits for the write before, if it has not ended, then starts to write <paramref name="snapshot"/>, which is disposed when written.</summary>
    public async Task BeginAsync(CheckpointSnapshot snapshot, CancellationToken cancellationToken)
    {
        try
        {
            await FlushAsync(cancellationToken);
        }
        catch
        {
            snapshot.Dispose();
            throw;
        }

        _writing = Task.Run(() => WriteAsync(snapshot, _abandoned.Token), CancellationToken.None);
    }

    /// <summary>Returns when the last snapshot can be seen by all.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        _writing = Task.CompletedTask;
    }

    /// <summary>Waits for the write that is under way.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await FlushAsync(CancellationToken.None);
        }
        finally
        {
            _abandoned.Dispose();
        }
    }

    /// <summary>Ends the write that is under way, for a process that must end now. Its fault is then expected, and not thrown.</summary>
    public async Task AbandonAsync()
    {
        await _abandoned.CancelAsync();
        await _writing.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        _writing = Task.CompletedTask;
    }

    private async Task WriteAsync(CheckpointSnapshot snapshot, CancellationToken cancellationToken)
    {
        using (snapshot)
        {
            using var activity = Telemetry.WorkerTelemetry.Trainer.StartActivity("checkpoint.write");
            activity?.SetTag("step", snapshot.Step);
            var started = Stopwatch.GetTimestamp();
            var parts = new CheckpointParts(snapshot);
            await link.PutChunksAsync(parts.Chunks().ToAsyncEnumerable(), cancellationToken);
            LastCheckpointId = await link.CommitCheckpointAsync(parts.Manifest, snapshot.Parts, cancellationToken);
            var bytes = parts.Manifest.Files.Sum(file => file.Bytes);
            LogWritten(LastCheckpointId, snapshot.Step, bytes, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Checkpoint {CheckpointId} at step {Step} stored: {Bytes} bytes of this rank in {Seconds:F2} s")]
    private partial void LogWritten(string checkpointId, long step, long bytes, double seconds);
}
