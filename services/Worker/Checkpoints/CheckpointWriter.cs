using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Grpc.Core;

namespace Cluster.Worker.Checkpoints;

/// <summary>Stores snapshots while training goes on: at most one at a time.</summary>
/// <remarks>
/// A write that fails because the store is away is logged, and made good by the next one; only <see cref="FlushAsync"/> and disposal throw
/// it. Any other fault is thrown by whatever is called next. For one thread: calls must not overlap.
/// </remarks>
/// <param name="link">The way to the store.</param>
/// <param name="reported">
/// Returns when the agent has all that was reported before. An attempt that goes on from a checkpoint does not make the steps before it
/// again: nobody may see it while their figures can still be lost with this process.
/// </param>
/// <param name="logger">Is told what was stored.</param>
public sealed partial class CheckpointWriter(
    ITrainerLink link, Func<CancellationToken, Task> reported, ILogger<CheckpointWriter> logger) : IAsyncDisposable
{
    private readonly CancellationTokenSource _abandoned = new();
    private Task _writing = Task.CompletedTask;
    private ExceptionDispatchInfo? _outage; // why the last snapshot is not in the store

    /// <summary>The newest checkpoint that can be seen, or null.</summary>
    public string? LastCheckpointId { get; private set; }

    /// <summary>Whether a snapshot is still on its way.</summary>
    public bool IsWriting => !_writing.IsCompleted;

    /// <summary>Starts to write <paramref name="snapshot"/>, which is disposed when written.</summary>
    /// <exception cref="InvalidOperationException">The one before is still on its way.</exception>
    public void Begin(CheckpointSnapshot snapshot)
    {
        try
        {
            if (IsWriting)
                throw new InvalidOperationException($"the checkpoint of step {snapshot.Step} was begun while another was being written");
            _writing.GetAwaiter().GetResult();
        }
        catch
        {
            snapshot.Dispose();
            throw;
        }

        _outage = null;
        _writing = Task.Run(() => WriteAsync(snapshot, _abandoned.Token), CancellationToken.None);
    }

    /// <summary>Returns when nothing is on its way any more, whether it got there or not.</summary>
    /// <returns>Whether the last snapshot can be seen by all, or there was none.</returns>
    public async Task<bool> SettleAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        _writing = Task.CompletedTask;
        return _outage is null;
    }

    /// <summary>Returns when the last snapshot can be seen by all.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (!await SettleAsync(cancellationToken))
            _outage!.Throw();
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
            try
            {
                await link.PutChunksAsync(parts.Chunks().ToAsyncEnumerable(), cancellationToken);
                await reported(cancellationToken);
                LastCheckpointId = await link.CommitCheckpointAsync(parts.Manifest, snapshot.Parts, cancellationToken);
            }
            catch (Exception fault) when (IsOutage(fault))
            {
                _outage = ExceptionDispatchInfo.Capture(fault);
                LogNotStored(fault, snapshot.Step);
                return;
            }

            var bytes = parts.Manifest.Files.Sum(file => file.Bytes);
            LogWritten(LastCheckpointId, snapshot.Step, bytes, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }
    }

    /// <summary>By the agent's word, after its own patience.</summary>
    private static bool IsOutage(Exception fault) =>
        fault is RpcException { StatusCode: StatusCode.Unavailable or StatusCode.DeadlineExceeded };

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The checkpoint of step {Step} could not be stored; training goes on, and the next one that is due is tried")]
    private partial void LogNotStored(Exception fault, long step);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "Checkpoint {CheckpointId} at step {Step} stored: {Bytes} bytes of this rank in {Seconds:F2} s")]
    private partial void LogWritten(string checkpointId, long step, long bytes, double seconds);
}
