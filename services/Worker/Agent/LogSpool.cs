using System.Diagnostics.CodeAnalysis;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>An attempt's log lines on their way to the scheduler: in order, bounded, and numbered when they leave.</summary>
/// <remarks>
/// Beyond the limit the oldest lines go, since the newest tell why a trainer died; a line says how many went. A batch, once
/// taken, stays the same until it is acknowledged: the scheduler knows a repetition by its first number.
/// </remarks>
internal sealed class LogSpool(int maxBytes, TimeProvider timeProvider)
{
    // Far below the scheduler's limit of a message.
    private const int MaxBatchBytes = 256 * 1024;
    private const int MaxBatchLines = 1000;

    private readonly Lock _gate = new();
    private readonly Queue<LogLine> _lines = new();
    private readonly SemaphoreSlim _added = new(0);
    private TaskCompletionSource _drained = NewDrained();
    private AppendLogsRequest? _batch;
    private long _bytes;
    private long _dropped;
    private long _nextNumber = 1;
    private bool _abandoned;

    /// <summary>Takes a line; never waits.</summary>
    public void Add(LogLine line)
    {
        lock (_gate)
        {
            if (IsEmpty)
                _drained = NewDrained();
            _lines.Enqueue(line);
            _bytes += Cost(line);
            while (_bytes > maxBytes && _lines.Count > 1)
            {
                _bytes -= Cost(_lines.Dequeue());
                _dropped++;
                AgentMetrics.DroppedLines.Add(1);
            }

            // One waiting permit is enough: who takes it takes all lines.
            if (_added.CurrentCount == 0)
                _added.Release();
        }
    }

    /// <summary>Waits for lines and gives the next batch; the same one again until <see cref="Acknowledge"/>.</summary>
    public async Task<AppendLogsRequest> NextBatchAsync(Func<AppendLogsRequest> newBatch, CancellationToken cancellationToken)
    {
        while (true)
        {
            lock (_gate)
            {
                if (TryBatch(newBatch, out var batch))
                    return batch;
            }

            await _added.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The batch has arrived, or can never.</summary>
    public void Acknowledge()
    {
        lock (_gate)
        {
            _nextNumber += _batch?.Lines.Count ?? 0;
            _batch = null;
            if (IsEmpty)
                _drained.TrySetResult();
        }
    }

    /// <summary>Nobody ships any more: who waits for the lines waits no longer.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            _abandoned = true;
            _drained.TrySetResult();
        }
    }

    /// <summary>Ends when all lines added so far have been acknowledged.</summary>
    public Task DrainedAsync()
    {
        lock (_gate)
            return IsEmpty || _abandoned ? Task.CompletedTask : _drained.Task;
    }

    private bool IsEmpty => _lines.Count == 0 && _batch is null;

    private static TaskCompletionSource NewDrained() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A line's text, and about what the objects around it take.
    private static int Cost(LogLine line) => line.Text.Length * sizeof(char) + 128;

    private bool TryBatch(Func<AppendLogsRequest> newBatch, [NotNullWhen(true)] out AppendLogsRequest? batch)
    {
        if (_batch is null && _lines.Count > 0)
        {
            _batch = newBatch();
            _batch.AgentSequence = _nextNumber;
            if (_dropped > 0)
                _batch.Lines.Add(DropNotice(_lines.Peek()));
            _dropped = 0;
            for (var bytes = 0; bytes < MaxBatchBytes && _batch.Lines.Count < MaxBatchLines && _lines.TryDequeue(out var line);)
            {
                _batch.Lines.Add(line);
                bytes += Cost(line);
                _bytes -= Cost(line);
            }
        }

        batch = _batch;
        return batch is not null;
    }

    private LogLine DropNotice(LogLine next) => new()
    {
        Time = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(timeProvider.GetUtcNow()),
        Attempt = next.Attempt,
        Rank = next.Rank,
        Stream = LogStream.Agent,
        Text = $"{_dropped} lines dropped here: the scheduler was away and the agent keeps {maxBytes} bytes (Agent:LogSpoolBytes)",
    };
}
