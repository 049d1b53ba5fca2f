using System.Diagnostics.CodeAnalysis;
using System.Text;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Worker.Agent;

/// <summary>An attempt's log lines on their way to the scheduler: in order, bounded, and numbered when they leave.</summary>
/// <remarks>
/// Beyond the limit the oldest lines go, since the newest tell why a trainer died; a line says to each rank how many of its went, and
/// whether the scheduler took none or the trainer wrote faster than it took them. A batch, once taken, stays the same until it is
/// acknowledged: the scheduler knows a repetition by its first number.
/// </remarks>
internal sealed class LogSpool(int maxBytes, TimeProvider timeProvider)
{
    // A quarter of the scheduler's limit of a message. Large ones, since each costs the store a transaction.
    private const int MaxBatchBytes = 1024 * 1024;
    private const int MaxBatchLines = 10_000;

    // Fields, tags and lengths of a line in a message, beside its text.
    private const int LineOverhead = 40;

    // A scheduler that is there answers a batch in a fraction of it.
    private static readonly TimeSpan LateAnswer = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly Queue<Line> _lines = new();
    private readonly SemaphoreSlim _added = new(0);
    private readonly Dictionary<int, long> _lastOfRank = [];
    private readonly SortedDictionary<int, Dropped> _droppedOfRank = [];
    private readonly List<Wait> _waits = [];
    private AppendLogsRequest? _batch;
    private long _batchTaken;
    private long _bytes;
    private long _addedLines;
    private long _settledLines; // of the lines in the order in which they were added, all up to this one are acknowledged or dropped
    private long _nextNumber = 1;
    private bool _abandoned;

    /// <summary>Takes a line; never waits.</summary>
    public void Add(int rank, LogStream stream, string text)
    {
        var line = new Line(timeProvider.GetUtcNow().UtcTicks, rank, stream, Encoding.UTF8.GetBytes(text));
        lock (_gate)
        {
            _lines.Enqueue(line);
            _lastOfRank[rank] = ++_addedLines;
            _bytes += line.Cost;
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
        _bytes -= line.Cost;
        var unanswered = _batch is null ? TimeSpan.Zero : timeProvider.GetElapsedTime(_batchTaken);
        var before = _droppedOfRank.GetValueOrDefault(line.Rank);
        _droppedOfRank[line.Rank] = new Dropped(before.Lines + 1, before.Unanswered > unanswered ? before.Unanswered : unanswered);
        AgentMetrics.DroppedLines.Add(1);
    }

    private bool TryBatch(Func<AppendLogsRequest> newBatch, [NotNullWhen(true)] out AppendLogsRequest? batch)
    {
        if (_batch is null && _lines.Count > 0)
        {
            _batch = newBatch();
            _batchTaken = timeProvider.GetTimestamp();
            _batch.AgentSequence = _nextNumber;
            foreach (var (rank, dropped) in _droppedOfRank)
                _batch.Lines.Add(DropNotice(_batch.Attempt, rank, dropped));
            _droppedOfRank.Clear();
            for (var bytes = 0; bytes < MaxBatchBytes && _batch.Lines.Count < MaxBatchLines && _lines.TryDequeue(out var line);)
            {
                _batch.Lines.Add(line.Read(_batch.Attempt));
                bytes += line.Text.Length + LineOverhead;
                _bytes -= line.Cost;
            }
        }

        batch = _batch;
        return batch is not null;
    }

    private LogLine DropNotice(int attempt, int rank, Dropped dropped) => new()
    {
        Time = Timestamp.FromDateTimeOffset(timeProvider.GetUtcNow()),
        Attempt = attempt,
        Rank = rank,
        Stream = LogStream.Agent,
        Text = $"{(dropped.Lines == 1 ? "1 line" : $"{dropped.Lines} lines")} dropped here: "
            + (dropped.Unanswered >= LateAnswer
                ? $"the scheduler took none for {dropped.Unanswered.TotalSeconds:0} s"
                : "they were written faster than the scheduler takes them")
            + $", and the agent keeps {maxBytes} bytes (Agent:LogSpoolBytes)",
    };

    /// <summary>A line as it is kept: there may be hundreds of thousands.</summary>
    private readonly record struct Line(long UtcTicks, int Rank, LogStream Stream, byte[] Text)
    {
        // This value, and the text's object with its header.
        public int Cost => Text.Length + 56;

        public LogLine Read(int attempt) => new()
        {
            Time = Timestamp.FromDateTime(new DateTime(UtcTicks, DateTimeKind.Utc)),
            Attempt = attempt,
            Rank = Rank,
            Stream = Stream,
            Text = Encoding.UTF8.GetString(Text),
        };
    }

    /// <param name="Unanswered">The longest time for which a batch had been on its way when a line was dropped.</param>
    private readonly record struct Dropped(long Lines, TimeSpan Unanswered);

    /// <summary>Somebody waits until all lines up to one are acknowledged or dropped.</summary>
    private sealed record Wait(long Line, TaskCompletionSource Settled);
}
