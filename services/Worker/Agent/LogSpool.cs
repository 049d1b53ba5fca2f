using System.Diagnostics.CodeAnalysis;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Agent;

/// <summary>An attempt's log lines on their way to the scheduler: in order, bounded, and numbered when they leave.</summary>
/// <remarks>
/// Beyond the limit the oldest lines go, since the newest tell why a trainer died; a line says to each rank how many of its went. A batch,
/// once taken, stays the same until it is acknowledged: the scheduler knows a repetition by its first number.
/// </remarks>
internal sealed class LogSpool(int maxBytes, TimeProvider timeProvider)
{
    // Far below the scheduler's limit of a message.
    private const int MaxBatchBytes = 256 * 1024;
    private const int MaxBatchLines = 1000;

    private readonly Lock _gate = new();
    private readonly Queue<LogLine> _lines = new();
    private readonly SemaphoreSlim _added = new(0);
    private readonly Dictionary<int, long> _lastOfRank = [];
    private readonly SortedDictionary<int, long> _droppedOfRank = [];
    private readonly List<Wait> _waits = [];
    private AppendLogsRequest? _batch;
    private long _bytes;
    private long _addedLines;
    private long _settledLines; // of the lines in the order in which they were added, all up to this one are acknowledged or dropped
    private long _nextNumber = 1;
    private bool _abandoned;

    /// <summary>Takes a line; never waits.</summary>
    public void Add(LogLine line)
    {
        lock (_gate)
        {
            _lines.Enqueue(line);
            _lastOfRank[line.Rank] = ++_addedLines;
            _bytes += Cost(line);
            while (_bytes > maxBytes && _lines.Count > 1)
                DropOldest();
            Settle();

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
            Settle();
        }
    }

    /// <summary>Nobody ships any more: who waits for the lines waits no longer.</summary>
    /// <returns>How many lines were not acknowledged.</returns>
    public int Abandon()
    {
        lock (_gate)
        {
            _abandoned = true;
            Settle();
            return _lines.Count + (_batch?.Lines.Count ?? 0);
        }
    }

    /// <summary>Ends when all lines added so far have been acknowledged.</summary>
    public Task DrainedAsync()
    {
        lock (_gate)
            return SettledAsync(_addedLines);
    }

    /// <summary>Ends when all lines of a rank added so far have been acknowledged, whatever other ranks write meanwhile.</summary>
    public Task DrainedAsync(int rank)
    {
        lock (_gate)
            return SettledAsync(_lastOfRank.GetValueOrDefault(rank));
    }

    /// <summary>How many of a rank's lines have not been acknowledged.</summary>
    public int Waiting(int rank)
    {
        lock (_gate)
            return _lines.Count(line => line.Rank == rank) + (_batch?.Lines.Count(line => line.Rank == rank) ?? 0);
    }

    // A line's text, and about what the objects around it take.
    private static int Cost(LogLine line) => line.Text.Length * sizeof(char) + 128;

    private Task SettledAsync(long line)
    {
        if (_abandoned || line <= _settledLines)
            return Task.CompletedTask;
        var wait = new Wait(line, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        _waits.Add(wait);
        return wait.Settled.Task;
    }

    private void Settle()
    {
        // What is dropped while a batch is under way is younger than that batch.
        if (_batch is null)
            _settledLines = _addedLines - _lines.Count;
        foreach (var wait in _waits.Where(IsOver))
            wait.Settled.SetResult();
        _waits.RemoveAll(IsOver);

        bool IsOver(Wait wait) => _abandoned || wait.Line <= _settledLines;
    }

    private void DropOldest()
    {
        var line = _lines.Dequeue();
        _bytes -= Cost(line);
        _droppedOfRank[line.Rank] = _droppedOfRank.GetValueOrDefault(line.Rank) + 1;
        AgentMetrics.DroppedLines.Add(1);
    }

    private bool TryBatch(Func<AppendLogsRequest> newBatch, [NotNullWhen(true)] out AppendLogsRequest? batch)
    {
        if (_batch is null && _lines.Count > 0)
        {
            _batch = newBatch();
            _batch.AgentSequence = _nextNumber;
            foreach (var (rank, count) in _droppedOfRank)
                _batch.Lines.Add(DropNotice(_lines.Peek().Attempt, rank, count));
            _droppedOfRank.Clear();
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

    private LogLine DropNotice(int attempt, int rank, long count) => new()
    {
        Time = Google.Protobuf.WellKnownTypes.Timestamp.FromDateTimeOffset(timeProvider.GetUtcNow()),
        Attempt = attempt,
        Rank = rank,
        Stream = LogStream.Agent,
        Text = $"{(count == 1 ? "1 line" : $"{count} lines")} dropped here: the scheduler was away or slow, and the agent keeps {maxBytes} bytes (Agent:LogSpoolBytes)",
    };

    /// <summary>Somebody waits until all lines up to one are acknowledged or dropped.</summary>
    private sealed record Wait(long Line, TaskCompletionSource Settled);
}
